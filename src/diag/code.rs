//! The catalogue of findings: code, title, explanation, one line of the table each.
//!
//! Hundreds group by subject: KH00 reading files, KH01 keys, types and merging, KH02 names and addresses, KH03
//! networks, KH04 topology, roles and ports, KH05 versions, kubeadm and etcd, KH06 certificates, secrets and the
//! store, KH07 waivers. A code is never used again for something else. To add one, add its entry where its number belongs.

macro_rules! catalogue {
    ($($name:ident $code:literal $title:literal $explanation:literal;)*) => {
        /// A rule that an inventory can break. The names are for this code base, the numbers for the reader.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!($code, ": ", $title)] $name,)*
        }

        impl Code {
            /// Every code, in the order of the numbers.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// Returns the code as printed, `KH0101`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)* }
            }

            /// Returns the rule in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// Returns its page of docs/codes: title, explanation, and examples of what breaks the rule and what does not.
            /// The pages are made from the tests' inventories, by tests/diagnostics.rs.
            pub fn page(self) -> &'static str {
                match self { $(Code::$name => include_str!(concat!("../../docs/codes/", $code, ".md")),)* }
            }

            /// Returns why the rule exists and what to do, in a few sentences.
            pub fn explanation(self) -> &'static str {
                match self { $(Code::$name => $explanation,)* }
            }
        }
    };
}

catalogue! {
    // KH00: reading files.
    NotFound "KH0001" "the inventory does not exist"
        "The path given is neither a folder nor a file. Without one, khagen reads `inventory` in the current folder.";
    Unreadable "KH0002" "a file or folder cannot be read"
        "The operating system refused to open or read it. Khagen never builds from a part of an inventory.";
    NotAFile "KH0003" "not a regular file"
        "A document must be a regular file. Devices, sockets and named pipes have no fixed content, and reading one can wait for ever.";
    TooLarge "KH0004" "the inventory is too large"
        "Documents may hold 64 MiB and four million values together, far more than ten thousand hosts need.";
    NotUtf8 "KH0005" "not UTF-8"
        "YAML and TOML documents are UTF-8 text. Editors call it `UTF-8`; other encodings and binary files are refused.";
    NulByte "KH0006" "a NUL byte in a document"
        "A NUL byte never belongs in text; it usually means a binary or damaged file.";
    LinkLoop "KH0007" "a symbolic link leads in a circle or nowhere"
        "Links to files and folders are followed. One that leads back to a folder around it, or to nothing, has no content.";
    EmptyInventory "KH0008" "the inventory is empty"
        "No `*.yaml`, `*.yml` or `*.toml` document was found, or none that says anything. Hidden files and the folders secrets, files, patches, manifests, artifacts and templates hold no documents.";
    NoCluster "KH0009" "no cluster in the inventory"
        "A folder with a `cluster.yaml` (or .yml, .toml) is one cluster; a folder whose subfolders have one is several.";
    ClusterInCluster "KH0010" "a cluster inside or beside another"
        "Either the inventory's own folder has a `cluster.*`, or its direct subfolders have. Otherwise it is not clear which documents belong to which cluster.";
    OutputAsInventory "KH0011" "an output folder is given as the inventory"
        "A folder with a BUILD.json was written by `khagen build` and holds no inventory.";
    UnreadExtension "KH0012" "a document that is not read because of its name"
        "Only `*.yaml`, `*.yml` and `*.toml` in lower case are read, on every machine alike.";
    YamlSyntax "KH0021" "not valid YAML"
        "The YAML reader stopped here. Later faults of the same document show up once this one is mended.";
    TomlSyntax "KH0022" "not valid TOML"
        "The TOML reader could not make sense of this place.";
    TooDeep "KH0023" "nested too deeply"
        "No setting is nested more than a few levels; 64 is the limit.";
    YamlAnchor "KH0024" "YAML anchors and aliases are not accepted"
        "An alias makes one place of the inventory mean what another says, so a reviewer of the one does not see a change of the other, and a few lines can expand to gigabytes. Values that hosts share belong in `defaults`, `roles` or `groups`.";
    YamlTag "KH0025" "YAML tags are not accepted"
        "A tag (`!!str`, `!Ref`) changes what a value is. Quote a value to make it text; keys say what they need otherwise.";
    YamlDocuments "KH0026" "more than one YAML document in a file"
        "A file is one document, so that no reader stops at the first `---`. Use one file per document.";
    NotAMap "KH0027" "a document must be a map"
        "At its top a document has keys like `cluster:`, `kubernetes:` or `hosts:`.";
    BadKey "KH0028" "a key must be text"
        "Keys are plain names. A list, a map or nothing at all cannot be one.";

    // KH01: keys, types, merging.
    DuplicateKey "KH0101" "the same key twice in one map"
        "Most YAML readers silently keep the last of two equal keys. Khagen refuses both, so that no host or setting vanishes unseen.";
    SetTwice "KH0102" "the same setting in two documents"
        "Documents are merged key by key and the order of files has no meaning, so a setting can have one place only. Only the lists `hosts` and `waivers` are appended; `schema` may repeat if it is equal.";
    MergeKind "KH0103" "two documents disagree on what a key holds"
        "A map can only be merged with a map. One of the two places is mistaken.";
    UnknownKey "KH0104" "a key that khagen does not know"
        "A misspelled key would be a setting that is silently not made.";
    WrongType "KH0105" "a value of the wrong kind"
        "Each key holds text, a number, true or false, a list or a map. Numbers stand without quotes, text may stand in them.";
    MissingKey "KH0106" "a setting is missing"
        "The key has no default, since khagen cannot know it.";
    NotBuiltYet "KH0107" "a setting that this khagen does not act on yet"
        "The name is reserved so that inventories stay valid when it comes. Until then it is refused rather than ignored.";
    NotAChoice "KH0108" "not one of the words that a key takes"
        "The key takes one of a few words, in this spelling.";
    OutOfRange "KH0109" "a number out of range"
        "The program that reads the number accepts only this range.";
    SecretValue "KH0110" "a secret in the inventory"
        "The inventory is reviewed and committed, so no key, password or token may stand in it. khagen makes the cluster's own and keeps them in the store. What looks like a secret is never printed.";
    UnknownGroup "KH0111" "a group that is not there"
        "A host's `group` names an entry of `groups`, which may be empty: `groups: {gpu: {}}`.";
    Exclusive "KH0112" "two keys that exclude each other"
        "Both say the same thing, and which of them counts would be a guess.";
    EmptyList "KH0113" "a list that needs an entry"
        "Leave the key out to get its default, or give the list an entry.";
    Repeated "KH0114" "the same thing twice in one list"
        "The second entry says nothing, or contradicts the first.";
    OnlyOnHost "KH0115" "a setting of one host given to several"
        "Names, addresses and roles belong to one host and stand in its own entry under `hosts`.";
    UserFile "KH0116" "a file of the user's that cannot be taken"
        "`source` names a regular file of UTF-8 text, 1 MiB at most, inside the inventory's `files/` folder.";
    AmbiguousNumber "KH0117" "a number that programs read differently"
        "`0644` is 420 to YAML 1.1, 644 to YAML 1.2 and an error to TOML. Quote it to make it text.";
    Artifact "KH0118" "an artifact that cannot be taken"
        "`artifacts` names packages (.deb) and programs by their paths below the inventory's `artifacts/` folder; a program may be a member of a tarball there.";
    ArtifactNoDigest "KH0119" "an artifact without a digest"
        "`artifacts/SHA256SUMS`, as `sha256sum` writes it, has a line for every file that `artifacts` names. It is what a reviewer sees of a package and what the hosts check before they install it. Compare a digest with the one that the publisher gives before you add it.";
    ArtifactDamaged "KH0120" "an artifact that is not the one whose digest is written"
        "The file was damaged or replaced since its line in `artifacts/SHA256SUMS` was written, or the line is meant for another file.";
    ArtifactArchitecture "KH0121" "an artifact for another architecture"
        "A package says in its control file for which machine it is, a program in its ELF header. `arch` of a host says what it is; without it, all that a host gets must be for one.";
    ArtifactTwice "KH0122" "two artifacts for one place"
        "A host gets what all entries of `artifacts` that fit it name, together: `all`, `kubernetes`, its roles, its group, its own. Two versions of a package, or two programs at one path, cannot both be installed.";
    PathTaken "KH0123" "a file on a path that khagen writes"
        "Every path on a host has one owner. What khagen writes itself follows from the inventory's settings; a file of yours at the same place would be lost or would break it.";
    ArtifactVersion "KH0124" "a Kubernetes package of another version"
        "kubeadm takes the documents of its own minor, and a kubelet must not be newer than its API server. Another patch level works, but the nodes then run what the inventory does not say.";

    // KH02: names and addresses. Up to KH0219: single values.
    NotALabel "KH0201" "not a DNS-1123 label"
        "1 to 63 characters, a-z, 0-9 and `-`, not at the ends. Such a name is part of a DNS name, a certificate, a file name.";
    NotADnsName "KH0202" "not a DNS name"
        "A DNS-1123 subdomain: labels of a-z, 0-9 and `-` joined by dots, 253 characters at most. Kubernetes refuses upper case and `_`.";
    NotAnAddress "KH0203" "not an IP address"
        "IPv4 as four decimal numbers without leading zeros, or IPv6. No name, port, prefix length or zone.";
    NotANetwork "KH0204" "not a network in CIDR form"
        "An address, `/`, and the length of the prefix: 10.0.0.0/16, 2001:db8::/64.";
    HostBits "KH0205" "a network with host bits"
        "In 10.1.2.3/16 the last two numbers are past the prefix. kubeadm accepts it, the API server refuses it from 1.36 on (StrictIPCIDRValidation). A VIP keeps them: it is an address in a network.";
    BadEndpoint "KH0206" "not an endpoint"
        "controlPlaneEndpoint is a DNS name in lower case or an address, and perhaps a port: api.example.com:6443, 192.0.2.10:6443, [2001:db8::10]:6443.";
    BadInterface "KH0207" "not an interface that the kernel would take"
        "1 to 15 bytes, no `/`, no `:`, no white space, neither `.` nor `..` (dev_valid_name in net/core/dev.c).";
    BadVersion "KH0208" "not an exact version"
        "Versions are major.minor.patch. Nothing resolves `latest`, `stable` or a bare minor.";
    BadDuration "KH0209" "not a time span"
        "Numbers with units, the larger first: y (365 days), w, d, h, m, s. Each setting has bounds.";
    BadSize "KH0210" "not a size"
        "Bytes as a number, or a whole number with KiB, MiB or GiB.";
    BadPath "KH0211" "not a clean path"
        "A path on a host is absolute, of letters, digits and . _ @ / + -, without `.`, `..` and doubled slashes. A source lies inside `files/`.";
    BadCalendar "KH0212" "not a time for a systemd timer"
        "See systemd.time(7), CALENDAR EVENTS. `systemd-analyze calendar TEXT` tells when it comes next.";
    BadTaint "KH0213" "not a taint"
        "`key=value:Effect`, `key:Effect`, or a map of key, value and effect.";
    BadNodeLabel "KH0214" "not a label's key or value"
        "Kubernetes' rules: a name of up to 63 letters, digits, `-`, `_`, `.`, before it perhaps a DNS name and `/`; values likewise, or empty.";
    FamilyPair "KH0215" "neither one address nor one of each family"
        "One address or network, or one of IPv4 and one of IPv6. The first is the primary family.";
    BadMode "KH0216" "not a file's mode"
        "Three octal digits, perhaps after a 0, best in quotes: \"0644\".";
    BadEffect "KH0217" "not an effect of a file's change"
        "`none`, `restart UNIT` or `reload UNIT`, with the unit's full name.";
    BadText "KH0218" "text that its reader would not take"
        "One line without control characters; names of flags, gates and checks are narrower.";
    BadUser "KH0219" "not a user's or group's name"
        "Names as useradd makes them everywhere: a-z, 0-9, `_`, `-`, 32 characters at most, no digit first. Ids differ between hosts, so names are used.";
    // KH0220 and above: identity across hosts and clusters.
    DuplicateHost "KH0220" "two hosts of one name"
        "A host's short name is its etcd member name and the stem of its certificates, and with the domain its FQDN. Two hosts cannot share it, not even in different domains.";
    DuplicateNodeName "KH0222" "two nodes of one name"
        "A Node object has one name. `kubeadm join` refuses a name that a ready node has, and an unready one would be taken over.";
    DuplicateAddress "KH0223" "two hosts of one address"
        "Traffic for one machine would reach the other. Each address, that of etcd's peers included, belongs to one host.";
    NodeNameTooLong "KH0224" "a node name is too long"
        "The kubelet writes the node name into the label kubernetes.io/hostname, and a label's value ends at 63 characters. `cluster.nodeName: short` or a `nodeName` of the host's own makes it shorter.";
    ClientNameTooLong "KH0225" "a client's name does not fit a certificate"
        "A client certificate carries its user in the common name, which RFC 5280 ends at 64 characters (ub-common-name). A kubelet is `system:node:` and the node name, so 52 characters are left. Only server certificates may do without a common name.";
    EndpointIsHost "KH0226" "the endpoint is named as a host"
        "With balancers, controlPlaneEndpoint must lead to the VIP. A name that is also a host's leads to that host wherever /etc/hosts or DNS answers for it.";
    DuplicateLogin "KH0227" "two hosts are reached by one login"
        "The distribution script would copy two hosts' bundles to one machine.";
    ReservedHostName "KH0228" "a host's name is taken"
        "`operator` names the operator's bundle; `etcd-ca`, `etcd-peer-ca` and `etcd-health-client` name files under /etc/etcd/pki.";
    DnsDomainOverlap "KH0229" "the cluster's DNS domain holds the hosts' names"
        "CoreDNS answers for all of networking.dnsDomain and asks no other server about it, so pods would not resolve hosts or the endpoint within it.";
    FqdnInTwoClusters "KH0240" "a host is in two clusters"
        "A machine runs one kubelet and one etcd. Its bundle, identity and ledger entry belong to one cluster.";
    AddressInTwoClusters "KH0241" "an address is used in two clusters"
        "The clusters of one inventory share a network. Clusters on networks that do not meet may use the same addresses: give each an inventory of its own.";
    ClusterNameTwice "KH0242" "two clusters of one name"
        "The admin kubeconfigs of both name their cluster, user and context alike, so that merging them loses one.";

    // KH03: networks.
    FamilyOrder "KH0300" "pod and service subnets differ in family"
        "Pods and services need the same families, and the first subnet of each decides the cluster's primary family.";
    HostFamily "KH0301" "a node has no address of a family that the cluster needs"
        "The API server does not start when the family of its advertised address differs from that of the first service subnet, and a node of a dual-stack cluster needs an address of each family, the primary one first.";
    NoCommonFamily "KH0302" "a host cannot reach another"
        "Control planes must reach every etcd member, balancers every control plane, and every node the endpoint. A host without an address of the family cannot.";
    NetworksOverlap "KH0303" "networks overlap"
        "An address must say whether it is a pod's, a service's or one that the user's load balancers announce. kubeadm accepts overlapping networks, and the cluster fails later in ways that are hard to find.";
    HostInNetwork "KH0304" "a host lies within the pods', services' or external network"
        "Nodes route such a network to pods, services or nowhere, and do not reach the host any more.";
    VipInNetwork "KH0305" "a VIP lies within the pods', services' or external network"
        "Nodes route such a network to pods, services or nowhere, and do not reach the API servers any more.";
    VipIsHost "KH0306" "a VIP is a host's address"
        "A VIP moves between balancers. A machine that has the address for itself answers beside them.";
    VipTwice "KH0307" "a VIP is listed twice"
        "Each VIP is one VRRP instance, and two would fight for the address.";
    BalancerOutsideVip "KH0308" "a balancer is outside the VIP's subnet"
        "VRRP speaks on one link, and neighbours look for the VIP there by ARP or neighbour discovery. The VIP's prefix length is that of the balancers' network, not /32.";
    AddressNotUsable "KH0309" "an address cannot be a host's or a VIP"
        "Loopback, link-local, multicast, unspecified, broadcast and network addresses lead to no machine, or not to the same one from everywhere. kubeadm refuses some of them.";
    ServiceSubnetSize "KH0310" "a service subnet of a size that kubeadm refuses"
        "kubeadm wants ten addresses at least (CoreDNS takes the tenth) and 20 bits at most: an IPv4 /12 to /28, an IPv6 /108 to /124.";
    PodSubnetSize "KH0311" "a pod subnet of a size that kubeadm refuses"
        "kubeadm wants 14 addresses at least, that is a /28 or larger.";
    NodeMask "KH0312" "pod subnet and nodes' mask do not go together"
        "kube-controller-manager cuts podSubnet into one range per node, of /24 (IPv4) and /64 (IPv6) unless flags say otherwise. A range cannot be larger than podSubnet, nor more than 16 bits smaller. kubeadm reads node-cidr-mask-size-ipv4 and -ipv6 only.";
    NodeMaskFlags "KH0313" "flags for the nodes' mask that exclude each other"
        "kube-controller-manager takes node-cidr-mask-size with one pod subnet only, not beside the flags for a family, and a family's flag only if there are pods of that family.";
    PodSubnetTooSmall "KH0314" "the pod subnet is too small for the hosts"
        "Every node gets a range of its own out of podSubnet: 2^(node mask - pod mask) nodes fit. Leave room for those to come: the subnet cannot change later. Where the CNI hands out addresses itself, set the controller manager's `allocate-node-cidrs` to \"false\".";
    MaxPods "KH0315" "a node takes more pods than its range has addresses"
        "The scheduler fills a node up to the kubelet's maxPods (110 by default). A /24 has 254 addresses, a /26 62.";
    VipInTwoClusters "KH0316" "a VIP is in two clusters"
        "Two pairs of balancers would fight for one address.";
    PodSubnetNearlyFull "KH0317" "the pod subnet has no room to grow"
        "Fewer than a tenth of the nodes could be added. Every node takes a range of its own out of podSubnet, which cannot change once the cluster runs. What is meant to stay as it is may be waived.";

    // KH04: topology, roles, ports.
    RoleMissing "KH0400" "a role without a host"
        "Every cluster needs an etcd member and a control plane, and one with `loadBalancer.mode: keepalived` a balancer.";
    BalancerUnused "KH0401" "a balancer that the mode does not use"
        "khagen sets up balancers in mode keepalived only. With external somebody else serves the endpoint, with none the one control plane does.";
    SingleEtcd "KH0403" "one etcd member"
        "With the member's disk the cluster's whole state is lost. Three members survive the loss of one, five of two.";
    EvenEtcd "KH0404" "an even number of etcd members"
        "etcd works while more than half of the members do. An even number survives no more losses than one fewer would, and waits for one more at every write.";
    ManyEtcd "KH0405" "more than seven etcd members"
        "Every write waits for a majority of the disks. Seven members survive the loss of three already.";
    SingleControlPlane "KH0406" "one control plane"
        "Without it workloads go on, and nothing is scheduled, healed or changed. Beside an external etcd two control planes are fine, and an even number too.";
    SingleBalancer "KH0407" "one balancer"
        "Everything reaches the API servers through the VIP, and it has nowhere to move.";
    ZoneMajority "KH0408" "a zone whose failure stops the cluster"
        "A zone is what fails at once: a rack, a power feed, a room. With more than half of the etcd members in one, or all balancers or all control planes, its failure stops the cluster. Two zones cannot hold a majority of etcd apart: that takes a third.";
    NoBalancer "KH0409" "several control planes without a balancer"
        "`loadBalancer.mode: none` means that controlPlaneEndpoint leads to the one control plane.";
    PortClash "KH0410" "two programs on one port of a host"
        "A port belongs to one program. kubeadm tries each port of its own on every address, so that a balancer on a control plane needs another port than the API server even if it listens on the VIP alone.";
    NodePortRange "KH0411" "a port within the node ports of a node"
        "kube-proxy sends a node port to the service that was given it, past the program that listens there. The range is 30000-32767 unless service-node-port-range says otherwise.";
    EndpointPort "KH0412" "the endpoint's port is not the one that is served"
        "Every kubeconfig and every joining host connects to controlPlaneEndpoint: the balancers' port with keepalived, the API server's without balancers.";
    EndpointNotVip "KH0413" "the endpoint's address is not the one that is served"
        "An address in controlPlaneEndpoint must be a VIP, or without balancers the control plane's own.";
    VipMissing "KH0414" "no VIP"
        "`loadBalancer.mode: keepalived` moves an address between the balancers; `loadBalancer.vip` says which.";
    VipUnused "KH0415" "a VIP that nothing serves"
        "`loadBalancer.mode: none` sets up no balancer.";
    VridTwice "KH0416" "two VRRP instances of one router id"
        "Instances of one family on one link are told apart by their virtual router id, 1 to 255, and share a MAC address made of it (RFC 9568).";
    VipInterface "KH0417" "the interface for a VIP is not known"
        "keepalived adds the VIP to a named interface. It is given with the VIP, in `loadBalancer.interface`, or as the host's `interface` (also in `defaults`, `roles` and `groups`).";
    VridInTwoClusters "KH0418" "two clusters use one router id on one network"
        "The balancers of both would hear each other's adverts and lose their VIPs to each other.";
    RetiredFromNew "KH0419" "a host retires from a cluster that does not run"
        "`state: retired` is for a host that leaves a running cluster: it keeps a bundle that takes it down. While `cluster.state` is new there is nothing to leave, and removing the entry is enough.";
    EtcdRetiresTooMany "KH0420" "too many etcd members retire at once"
        "etcd takes a member out by the vote of a majority of those it has. If those that leave stop before they are taken out, those that stay must be a majority of all, or only a restore from a snapshot brings the cluster back. Retire a few, take them out, remove their entries, then retire more.";

    // KH05: versions, kubeadm, etcd.
    UnknownMinor "KH0500" "a minor of Kubernetes that this khagen does not know"
        "Flags, images and kubeadm's documents differ between minors. A patch level never matters: any of a known minor is accepted.";
    EndOfLife "KH0501" "a minor of Kubernetes past its end of life"
        "The project mends the three latest minors, each for about fourteen months. The finding depends on the day and on nothing that is built.";
    UnknownEtcdLine "KH0502" "a line of etcd that this khagen does not know"
        "etcd exits at a flag that it does not know, and 3.5, 3.6 and 3.7 differ in theirs.";
    EtcdTooOld "KH0503" "etcd is too old for kubeadm"
        "`kubeadm init` asks every member for its version (preflight check ExternalEtcdVersion) and stops at one older than its MinExternalEtcdVersion, which later patch levels of 1.31 to 1.34 raised to 3.5.24.";
    ProxyModeUnavailable "KH0504" "a mode that this kube-proxy does not have"
        "nftables is on from 1.31 (beta) and generally available from 1.33.";
    ProxyModeBeta "KH0505" "a beta mode of kube-proxy"
        "nftables is beta in 1.31 and 1.32.";
    ProxyModeDeprecated "KH0506" "a deprecated mode of kube-proxy"
        "ipvs is deprecated from 1.35 on; nftables does the same work as fast.";
    EndsSoon "KH0507" "a minor of Kubernetes that ends soon"
        "Its end of life is ninety days away or less. An upgrade goes one minor at a time, through a rollout that somebody must plan. Until then a waiver with the last day accepts it. The finding depends on the day and on nothing that is built.";
    EtcdLineEnds "KH0508" "a line of etcd that is two lines behind"
        "etcd's project maintains its current line and the one before it. It gives no dates, and a third line may still get fixes for a while, as nobody promises. etcd is upgraded one line at a time.";
    ProxyContradiction "KH0509" "kube-proxy is set up against what else is set"
        "The network plugin is no part of the inventory, so khagen cannot know whether it replaces kube-proxy; `kubeProxy.mode: none` says so. What the inventory says of kube-proxy twice must agree: a mode although its phase is left out, or pods told by ranges that nobody gives out.";
    RepeatedArgument "KH0510" "a repeated flag below v1beta4"
        "kubeadm's API v1beta3, which versions below 1.31 read, holds extraArgs in a map.";
    NeedsV1Beta4 "KH0511" "a field that only v1beta4 has"
        "`timeouts` and `extraEnvs` came with kubeadm's API v1beta4, which works from 1.31 on.";
    PerHostFlag "KH0512" "one host's flag given to all"
        "extraArgs in ClusterConfiguration go to every control plane, those that join later too. A value that names one host breaks the others.";
    OwnedFlag "KH0513" "a flag that is derived"
        "kubeadm sets it from the cluster's settings, which certificates, files and other components follow as well.";
    ControllersWithoutTokens "KH0514" "controllers without those that joining needs"
        "`*` stands for the controllers that are on by default, and bootstrapsigner and tokencleaner are not. kubeadm's own value is `*,bootstrapsigner,tokencleaner`.";
    AuthorizationMode "KH0515" "authorization modes that nodes need are left out"
        "The flag replaces kubeadm's `Node,RBAC`.";
    AdmissionPlugins "KH0516" "NodeRestriction is left out"
        "enable-admission-plugins replaces kubeadm's value, which is `NodeRestriction`.";
    LeaderElection "KH0517" "no leader election among several control planes"
        "Of the controller managers and schedulers one acts and the others wait. Without election all act.";
    UnknownFeatureGate "KH0518" "a feature gate that this kubeadm does not have"
        "`featureGates` are kubeadm's own. It stops at one that it does not know, and gates come and go with minors.";
    UnknownTimeout "KH0519" "a timeout that kubeadm does not have"
        "kubeadm only warns about unknown fields and goes on without them.";
    TokenForever "KH0520" "a bootstrap token that never expires"
        "A ttl of zero means forever. `open-joins.sh` opens joining again whenever it is needed.";
    PreflightAll "KH0522" "`all` beside other preflight checks"
        "kubeadm takes either.";
    KubeletFieldOwned "KH0523" "a field of the kubelet that the cluster decides"
        "kubeadm or khagen sets it, and another value breaks the node or would be overwritten.";
    KubeletFieldDiffers "KH0524" "a field of the kubelet that differs from kubeadm's"
        "kubeadm warns and keeps the user's value. There may be a reason for it.";
    ProxyFieldOwned "KH0525" "a field of kube-proxy that the cluster decides"
        "Mode, pod network and kubeconfig follow from other settings, and the configuration is one for all nodes.";
    KubeletFlagOwned "KH0526" "a flag of the kubelet that cannot be given"
        "kubeadm, the kubelet's unit or the host's own settings decide it, or the kubelet refuses it.";
    LabelReserved "KH0527" "a label that is not the user's"
        "The kubelet keeps the labels for name, system and architecture; kubeadm counts control planes by theirs; the zone's label follows `zone`.";
    TaintTwice "KH0528" "the same taint twice"
        "A node has one taint of a key and effect.";
    SkippedPhase "KH0529" "a phase that kubeadm cannot leave out"
        "kubeadm stops at a phase that it does not have, and a cluster that lacks some of them takes no node. With `kubernetes.pki: kubeadm` that holds for the phases that sign and hand on, too: nobody else does it.";
    PatchTarget "KH0530" "a patch that this kubeadm does not apply"
        "kubeadm passes over a patch whose target it does not know, with a word on standard error.";
    ComponentField "KH0531" "a field that the kubelet or kube-proxy does not have"
        "kubeadm decodes KubeletConfiguration and KubeProxyConfiguration leniently: a field that the version does not have is lost with no more than a warning.";
    ComponentFieldKind "KH0532" "a field of the kubelet or kube-proxy with a value of another kind"
        "The component reads a number, text, a time or a list there and stops at anything else.";
    StaticPodVariable "KH0533" "a variable that a static pod cannot have"
        "API server, controller manager and scheduler are static pods. Their variables have a value, or come from the pod itself by fieldRef or resourceFieldRef; what an object of the API holds is not there before the API is.";
    NoEffect "KH0539" "a setting that nothing reads"
        "What else is set makes its reader pass over it: balancers' settings without balancers of the cluster, a node's settings on a host that is none, CoreDNS's image where the cluster has none, a section of kube-proxy's configuration for another mode. Whoever wrote it expects something that will not happen.";
    EtcdTiming "KH0540" "timings that etcd refuses"
        "electionTimeout must be five heartbeats at least and 50 s at most.";
    EtcdQuota "KH0541" "a large quota for etcd"
        "etcd suggests 8 GiB at most and warns beyond. The default is 2 GiB.";

    // KH06: certificates, secrets, the store.
    ValidityBeyondCa "KH0600" "certificates that outlive their CA"
        "A chain is valid while all of it is.";
    RenewBefore "KH0601" "certificates that are due when they are issued"
        "renewBefore counts back from the end of validity.";
    Recipient "KH0602" "nothing that the store can be encrypted to"
        "`secrets.recipients` takes age's X25519 recipients (`age1` and 58 letters, from `age-keygen`) and ssh-ed25519 public keys (a line of an id_ed25519.pub). Both are decrypted by stock age and rage without a plugin.";
    SecretName "KH0603" "not the name of a secret"
        "`{secret: NAME}` names a secret that `khagen secret set NAME` put into the store: 1 to 63 of a-z, 0-9, `-`, `_` and `.`. The value itself never stands in the inventory, which is reviewed and committed. What stands there is not printed, as it may be the value.";
    SecretMissing "KH0604" "a secret that the store does not have"
        "`khagen secret set NAME < FILE` puts it there, encrypted if `secrets.recipients` is set; `khagen secret list` shows what there is.";
    KeyAlgorithm "KH0605" "a kind of key that cannot be"
        "ECDSA on P-256 is small, quick and known to every program. P-384 and RSA are there for those who must have them. Ed25519 is not: kubeadm loads RSA and ECDSA keys only.";
    EndsWithCa "KH0606" "a CA that ends before what is renewed under it"
        "A certificate never outlives its CA. Where `caValidity` is less than twice `validity` without `renewBefore`, the first renewal is cut short by the CA's end: certificates and trust roots then lapse together on one day, and renewing does not help. A root takes three rollouts to replace (`khagen pki rotate`).";
    SanMissing "KH0607" "a URL of the API servers that their certificates do not name"
        "A URL of the service-account issuer with the API servers' port is served by them, under a certificate that must name its host. Names beside the endpoint, the VIPs and the balancers are given in `apiServer.certSANs`.";
    KubeadmSigning "KH0608" "settings of certificates that kubeadm does not take"
        "With `kubernetes.pki: kubeadm` kubeadm signs on the control planes. It is told `pki.algorithm` and `pki.validity` by v1beta4, since 1.31; before that it makes RSA keys of 2048 bits and certificates of a year, and P-384 it knows since 1.34. What khagen issues itself, for etcd and the operator, is as the inventory says.";
    ImportUnreadable "KH0620" "a file that cannot be imported"
        "`khagen pki import --ca` takes a CA's certificate in PEM form, those above it in the same file, and its key as PKCS#8 (encrypted or not), SEC1 or PKCS#1. Keys that OpenSSL encrypted in its own way (`Proc-Type: 4,ENCRYPTED`) and OpenSSH's format are turned into PKCS#8 by the command that the message names.";
    ImportOtherKey "KH0621" "a key that does not belong to the certificate"
        "What the key signs would be refused by everybody who trusts the certificate. rcgen, which issues, does not notice; khagen compares the public halves.";
    ImportNoCa "KH0622" "a certificate that is no CA's"
        "A CA's certificate is X.509 version 3, says CA:TRUE in basicConstraints and has a subject. A server's certificate does not, and neither do the version 1 certificates of old scripts.";
    ImportMayNotSign "KH0623" "a CA that may not sign what a cluster needs"
        "Its key usage lacks keyCertSign, its extended key usage leaves out servers or clients, or the path length of a CA above it is used up. A CA with path length 0 is fine: khagen makes no CA below it.";
    ImportValidity "KH0624" "a CA that is not valid long enough"
        "It has ended, begins later, or ends within `pki.renewBefore`, so that whatever it signs would be due on the day it is issued. If it ends before `pki.validity` is over, what it signs ends with it, which is a warning.";
    ImportWeak "KH0625" "a CA with an algorithm that is weak or unknown"
        "Keys are RSA of 2048 bits and more or ECDSA on P-256, P-384 or P-521, which is what kubeadm, Go's TLS and khagen have in common; an intermediate is not signed with MD5 or SHA-1.";
    ImportConstraints "KH0626" "name constraints that forbid names of the cluster"
        "A CA may be limited to names. Every certificate of the inventory that it would sign is held against the limits, since a verifier refuses those beyond them. Only limits on DNS names and addresses are known to Go.";
    ImportChain "KH0627" "a chain that does not hold"
        "Each certificate must be signed by the next. The order in the file does not matter, but nothing else may stand there. Certificates above an intermediate are checked and not kept: hosts trust the intermediate itself.";
    ImportOtherCa "KH0628" "another CA of that name that has signed certificates"
        "Replacing it makes strangers of all that it signed. While `cluster.state` is `new`, --replace does it and the next build issues everything anew. In a running cluster a CA is exchanged in stages.";
    ImportExtension "KH0629" "a CA with a critical extension that is not known everywhere"
        "Verifiers refuse a certificate with a critical extension that they do not know. Key usages, names, basic and name constraints are known to all that a cluster has.";
    ImportSharedCa "KH0630" "one key for two CAs"
        "The Kubernetes CA, the front-proxy CA and etcd's must differ: what one signs must not count where another is trusted. kubeadm asks for it, too, for the front proxy.";
    ImportKeyMissing "KH0631" "a CA without its key where hosts need it"
        "With `kubernetes.pki: pregenerated` the keys of the Kubernetes and the front-proxy CA lie on the control planes. Where they may not be had, `external-ca` is the mode: khagen then writes requests (`khagen pki csr`) and takes the signed certificates.";
    ImportNoRequest "KH0632" "a signed certificate that belongs to no request"
        "A certificate is matched with its request by the public key. Either it was made for another key, twice for one, or the inventory has changed since the request was written: then write the requests anew.";
    ImportNotAsked "KH0633" "a signed certificate that is not what was asked for"
        "Subject and names must be those of the request, no more and no fewer, the extended key usage its profile's, the key usage digitalSignature (keyEncipherment may stand beside it), and it must be no CA's. kubeadm's `init` checks none of this, and a certificate with more rights than its host needs is a hole.";
    ImportSignedValidity "KH0634" "a signed certificate that is not valid long enough"
        "It has ended, begins later, outlives its CA, or ends within `pki.renewBefore`. Another number of days than was asked for is a warning.";
    ImportNotSigned "KH0635" "a signed certificate of another CA"
        "Its issuer must be the subject of the CA in the store, byte by byte, and its signature that CA's: whoever trusts the one would refuse what another signed.";
    AdoptStacked "KH0636" "a stacked cluster"
        "kubeadm's stacked clusters run etcd on the control planes. khagen's have it on hosts of its own, outside of Kubernetes, and take over only such.";
    AdoptIncomplete "KH0637" "a collected PKI with gaps or contradictions"
        "The certificates of the Kubernetes, front-proxy and etcd CAs and the service-account key are needed, and every host must have the same ones. What were missing would be made anew, and no host would trust it.";
    AdoptOtherwise "KH0638" "an inventory that does not describe the running cluster"
        "Certificates tell how a cluster is named and addressed: its nodes, service network, DNS domain, endpoint, and whether etcd's peers have a CA of their own. The inventory must say the same, and `cluster.state: running`, or the first build would change what it should leave alone.";

    // KH07: waivers.
    WaiverCode "KH0700" "a waiver of a code that there is not"
        "A waiver names the code that stands in brackets after `warning`, such as KH0406. `khagen explain` lists all.";
    WaiverOfError "KH0701" "a waiver of what is never a warning"
        "An error says that what would be built cannot work, so nobody can accept it. Waivers are for warnings of `khagen check`. Those of a single command, such as `khagen pki import`, are read when it runs, and those about waivers are mended in the waiver.";
    BadDate "KH0702" "not a date"
        "A day as ISO 8601 writes it, such as 2027-03-31; in TOML with or without quotes.";
    WaiverTwice "KH0703" "two waivers of the same finding"
        "Which of two reasons and dates counts would be a guess. A waiver without a `path` accepts every finding of its code, so that one with a `path` beside it may differ only if it is meant to end at another day.";
    WaiverTooLong "KH0704" "a waiver for more than two years"
        "A waiver is a decision with a day on which somebody looks at it again. Within two years every minor of Kubernetes that is maintained today has ended. The finding depends on the day and on nothing that is built.";
    WaiverUnused "KH0705" "a waiver that no finding needs"
        "What it accepted is mended, or it never stood there. Left in place it would silently accept the next finding of that code.";
}

impl std::fmt::Display for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Code {
    /// Finds a code by what is printed, in any case and with or without the letters.
    pub fn find(text: &str) -> Option<Code> {
        let text = text.trim().to_ascii_uppercase();
        let digits = text.strip_prefix("KH").unwrap_or(&text);
        Code::ALL.iter().copied().find(|code| code.as_str().strip_prefix("KH") == Some(digits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_complete() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0].as_str() < pair[1].as_str(), "{} stands before {}", pair[0], pair[1]);
        }
        for code in Code::ALL {
            let text = code.as_str();
            assert!(text.len() == 6 && text.starts_with("KH"), "{text}");
            assert!(text[2..].bytes().all(|byte| byte.is_ascii_digit()), "{text}");
            assert!(!code.title().is_empty() && !code.title().ends_with('.'), "{code}: {}", code.title());
            assert!(code.explanation().ends_with('.'), "{code}: an explanation is made of sentences");
        }
    }

    #[test]
    fn a_code_is_found_by_what_is_printed() {
        assert_eq!(Code::find("KH0102"), Some(Code::SetTwice));
        assert_eq!(Code::find("kh0102"), Some(Code::SetTwice));
        assert_eq!(Code::find("0102"), Some(Code::SetTwice));
        assert_eq!(Code::find("KH9999"), None);
    }
}
