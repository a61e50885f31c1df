#!/usr/bin/perl
# probe.pl ADDRESS PORT SECONDS [FILE]: every 20 ms begins a connection to ADDRESS and PORT and sends what begins like TLS; an answer within a
# second is a success, whoever it is from. Prints "probes N failed N gap MS": the longest time from the last success before a
# failure to the first one after it, by when the probes began. Each such time goes to FILE, in seconds since 1970. SIGTERM ends it
# earlier. perl-base only.
use strict;
use warnings;
use Socket qw(:DEFAULT inet_pton IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time sleep);
use Fcntl;
use Errno qw(EINPROGRESS EAGAIN);

my ($address, $port, $seconds, $file) = @ARGV;
$SIG{TERM} = sub { $seconds = 0 };
my $v6 = $address =~ /:/;
my $family = $v6 ? AF_INET6 : AF_INET;
my $to = $v6 ? Socket::pack_sockaddr_in6($port, inet_pton(AF_INET6, $address)) : pack_sockaddr_in($port, inet_pton(AF_INET, $address));
# A handshake record with an empty ClientHello: a TLS server answers with an alert.
my $hello = "\x16\x03\x01\x00\x04\x01\x00\x00\x00";
my (%open, @done);
my ($begin, $next) = (time, time);
my $limit = 1.0;
while (time < $begin + $seconds || %open) {
    my $now = time;
    if ($now >= $next && $now < $begin + $seconds) {
        $next += 0.02;
        socket(my $s, $family, SOCK_STREAM, 0) or die "socket: $!";
        fcntl($s, F_SETFL, O_NONBLOCK);
        if (connect($s, $to) || $! == EINPROGRESS) { $open{fileno $s} = [$s, $now, 0]; }
        else { push @done, [$now, 0]; }
    }
    my ($r, $w) = ('', '');
    for my $fd (keys %open) { if ($open{$fd}[2]) { vec($r, $fd, 1) = 1 } else { vec($w, $fd, 1) = 1 } }
    my $wait = $next - time;
    $wait = 0.005 if $wait < 0.001 || $wait > 0.02;
    select($r, $w, undef, $wait);
    for my $fd (keys %open) {
        my ($s, $at, $sent) = @{ $open{$fd} };
        if (!$sent && vec($w, $fd, 1)) {
            my $error = unpack 'i', getsockopt($s, SOL_SOCKET, SO_ERROR);
            if ($error || !defined syswrite($s, $hello)) { push @done, [$at, 0]; delete $open{$fd}; next; }
            $open{$fd}[2] = 1;
        } elsif ($sent && vec($r, $fd, 1)) {
            my $n = sysread $s, my $buffer, 16;
            next if !defined $n && $! == EAGAIN;
            push @done, [$at, $n ? 1 : 0];
            delete $open{$fd};
            next;
        }
        if (time - $at > $limit) { push @done, [$at, 0]; delete $open{$fd}; }
    }
}
@done = sort { $a->[0] <=> $b->[0] } @done;
my ($failed, $gap, $last, $hurt) = (0, 0, $begin, 0);
my $out;
if (defined $file) { open($out, '>', $file) or die "$file: $!"; }
# One time without an answer.
sub over {
    if ($_[0] - $last > $gap) { $gap = $_[0] - $last; }
    if ($out) { printf $out "%.3f %.3f\n", $last, $_[0]; }
}
for my $probe (@done) {
    if ($probe->[1]) {
        if ($hurt) { over($probe->[0]); }
        ($last, $hurt) = ($probe->[0], 0);
    } else { $failed++; $hurt = 1; }
}
if ($hurt) { over(time); }
if ($out) { close $out; }
printf "probes %d failed %d gap %d\n", scalar @done, $failed, $gap * 1000;
