use super::{Format, changed, fields, same};

const NGINX: &str = r#"
user nginx; # comment
events { worker_connections 1024; }
stream {
    log_format api '$time_iso8601 "$x"'
        'more';
    upstream api {
        least_conn;
        server 192.0.2.1:6443 max_fails=2;
        server 192.0.2.2:6443 max_fails=2;
    }
    server {
        listen 6443 so_keepalive=on;
        proxy_pass api;
        allow 10.0.0.0/8;
        deny all;
    }
    server {
        listen 127.0.0.1:6443;
        return "alive\n";
    }
}
"#;

#[test]
fn what_means_nothing_to_nginx() {
    let other = r#"events{worker_connections "1024";}user 'nginx';
stream {
  server { return 'alive\n'; listen 127.0.0.1:6443; }
  server { allow 10.0.0.0/8; deny all; proxy_pass api; listen 6443
     so_keepalive=on; }
  upstream api { server 192.0.2.1:6443 max_fails=2; server 192.0.2.2:6443 max_fails=2; least_conn; }
  log_format "api" "$time_iso8601 \"$x\"" more;
}"#;
    same(Format::Nginx, NGINX, other);
}

#[test]
fn directives_are_known_by_their_blocks() {
    let edit = |from: &str, to: &str| {
        assert!(NGINX.contains(from), "{from}");
        changed(Format::Nginx, NGINX, &NGINX.replacen(from, to, 1))
    };
    assert_eq!(
        edit("listen 6443 ", "listen 8443 "),
        ["stream > server > listen: 6443 so_keepalive=on -> 8443 so_keepalive=on"]
    );
    assert_eq!(
        edit("proxy_pass api", "proxy_pass other"),
        ["stream > server 6443 > proxy_pass: api -> other"]
    );
    assert_eq!(edit("1024", "2048"), ["events > worker_connections: 1024 -> 2048"]);
    assert_eq!(
        edit("server 192.0.2.2:6443 max_fails=2;", "server 192.0.2.2:6443 max_fails=3;"),
        ["stream > upstream api > server: 192.0.2.2:6443 max_fails=2 -> 192.0.2.2:6443 max_fails=3"]
    );
    assert_eq!(
        edit(
            "server 192.0.2.2:6443 max_fails=2;",
            "server 192.0.2.2:6443 max_fails=2; server 192.0.2.3:6443;"
        ),
        ["+ stream > upstream api > server: 192.0.2.3:6443"]
    );
    assert_eq!(edit("least_conn;", ""), ["- stream > upstream api > least_conn: "]);
    assert_eq!(edit("alive\\n", "alive"), ["stream > server 127.0.0.1:6443 > return: \"alive\\n\" -> alive"]);
    assert_eq!(
        edit("'more'", "'mor e'"),
        [
            "stream > log_format: api \"$time_iso8601 \\\"$x\\\"\" more -> api \"$time_iso8601 \\\"$x\\\"\" \"mor e\""
        ]
    );
    let gone =
        edit("    server {\n        listen 127.0.0.1:6443;\n        return \"alive\\n\";\n    }\n", "");
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(gone.iter().all(|line| line.starts_with("- stream > server 127.0.0.1:6443 > ")), "{gone:?}");
}

#[test]
fn order_counts_where_nginx_goes_by_it() {
    let (one, two) = ("192.0.2.1:6443 max", "192.0.2.2:6443 max");
    let upstream = NGINX.replace(one, "?").replace(two, one).replace('?', two);
    let changes = changed(Format::Nginx, NGINX, &upstream);
    assert_eq!(
        changes,
        [
            "stream > upstream api > server (order): \"192.0.2.1:6443 max_fails=2\", \"192.0.2.2:6443 max_fails=2\" -> \
          \"192.0.2.2:6443 max_fails=2\", \"192.0.2.1:6443 max_fails=2\""
        ]
    );
    let access =
        NGINX.replace("        allow 10.0.0.0/8;\n        deny all;\n", "deny all; allow 10.0.0.0/8;\n");
    assert_eq!(
        changed(Format::Nginx, NGINX, &access),
        [
            "stream > server 6443 > allow, deny (order): \"allow 10.0.0.0/8\", \"deny all\" -> \"deny all\", \"allow 10.0.0.0/8\""
        ]
    );
    let patterns = "location ~ a { x 1; } location ~ b { x 2; }";
    assert_eq!(
        changed(Format::Nginx, patterns, "location ~ b { x 2; } location ~ a { x 1; }"),
        ["order of regular expressions: location ~ a; location ~ b -> location ~ b; location ~ a"]
    );
    same(
        Format::Nginx,
        "location /a { x 1; } location /b { x 2; }",
        "location /b { x 2; } location /a { x 1; }",
    );
}

#[test]
fn words_stay_apart() {
    assert_eq!(changed(Format::Nginx, "a 'b c';", "a b c;"), ["a: \"b c\" -> b c"]);
    assert_eq!(changed(Format::Nginx, "a \\;b;", "a ';b';"), ["a: \"\\\\;b\" -> \";b\""]);
    assert_eq!(fields(Format::Nginx, "a ${x}y;").unwrap(), [("a".to_owned(), "\"${x}y\"".to_owned())]);
    // What nginx answers for each of these in `return`, asked once: the same.
    let quoted = r#"r 'a\nb\"c\'d\\e\;f\xg';"#;
    same(Format::Nginx, quoted, r#"r "a\nb\"c\'d\\e\;f\xg";"#);
    same(Format::Nginx, quoted, r#"r a\nb\"c\'d\\e\;f\xg;"#);
    assert_eq!(fields(Format::Nginx, "r a#b}c;").unwrap(), [("r".to_owned(), "\"a#b}c\"".to_owned())]);
    for bad in ["a", "a {", "}", "a };", "{ }", ";", "a \"b", "a 'b'c;"] {
        assert!(fields(Format::Nginx, bad).is_err(), "{bad}");
    }
}

const KEEPALIVED: &str = r#"
global_defs {
    router_id lb1
    enable_script_security
}
track_file nginx_stopped {
    file "/run/down"
    weight 0
}
vrrp_script check {
    script "/etc/keepalived/check 127.0.0.1 6443"
    interval 2
}
vrrp_instance VI_1 {
    state BACKUP
    priority 200  # comment
    authentication {
        auth_type PASS
        auth_pass <secret vrrp/VI_1 aa>
    }
    unicast_peer {
        192.0.2.2
        192.0.2.3
    }
    virtual_ipaddress {
        192.0.2.10/24 dev eth0
    }
    track_script {
        check
    }
}
"#;

#[test]
fn what_means_nothing_to_keepalived() {
    let other = r#"! comment
vrrp_instance VI_1
{
  virtual_ipaddress { 192.0.2.10/24   dev eth0 }
  unicast_peer {
    192.0.2.3
    192.0.2.2
  }
  track_script { check }
  priority 200
  state "BACKUP"
  authentication {
    auth_pass <secret vrrp/VI_1 aa>
    auth_type PASS
  }
}
vrrp_script check {
    interval 2
    script "/etc/keepalived/check 127.0.0.1 6443"
}
track_file nginx_stopped {
    weight 0
    file /run/down
}
global_defs {
    enable_script_security
    router_id lb1
}"#;
    same(Format::Keepalived, KEEPALIVED, other);
}

#[test]
fn keepalived_by_block_and_keyword() {
    let edit = |from: &str, to: &str| {
        assert!(KEEPALIVED.contains(from), "{from}");
        changed(Format::Keepalived, KEEPALIVED, &KEEPALIVED.replacen(from, to, 1))
    };
    assert_eq!(edit("priority 200", "priority 150"), ["vrrp_instance VI_1 > priority: 200 -> 150"]);
    assert_eq!(
        edit("192.0.2.3\n", "192.0.2.4\n"),
        ["+ vrrp_instance VI_1 > unicast_peer: 192.0.2.4", "- vrrp_instance VI_1 > unicast_peer: 192.0.2.3"]
    );
    assert_eq!(
        edit("VI_1 aa>", "VI_1 bb>"),
        ["vrrp_instance VI_1 > authentication > auth_pass: <secret vrrp/VI_1 aa> -> <secret vrrp/VI_1 bb>"]
    );
    assert_eq!(edit("state BACKUP", "state BACKUP\n    nopreempt"), ["+ vrrp_instance VI_1 > nopreempt: "]);
    assert_eq!(edit("weight 0", "weight 5"), ["track_file nginx_stopped > weight: 0 -> 5"]);
    assert_eq!(
        edit("127.0.0.1 6443", "127.0.0.1 8443"),
        [
            "vrrp_script check > script: \"/etc/keepalived/check 127.0.0.1 6443\" -> \"/etc/keepalived/check 127.0.0.1 8443\""
        ]
    );
    assert_eq!(changed(Format::Keepalived, "a b\\#c # d\n", "a b\\#d\n"), ["a: \"b\\\\#c\" -> \"b\\\\#d\""]);
    for bad in ["a {", "}", "{ }", "a \"b", "a \"b\nc\""] {
        assert!(fields(Format::Keepalived, bad).is_err(), "{bad}");
    }
}
