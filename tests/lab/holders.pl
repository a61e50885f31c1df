#!/usr/bin/perl
# holders.pl VIP NAMESPACE...: who has the address, by network namespaces; a line "TIME NAMES" whenever that changes, TIME in seconds
# since 1970, until SIGTERM. Asks about every ten milliseconds. perl-base only.
use strict;
use warnings;
use Time::HiRes qw(time sleep);

my ($vip, @spaces) = @ARGV;
my $ends = 0;
$SIG{TERM} = sub { $ends = 1 };
$| = 1;
my $last = '?';
while (!$ends) {
    my @have;
    for my $space (@spaces) {
        # A host without power has no namespace.
        next if !-e "/run/netns/$space";
        my $said = qx(ip -n $space -o addr show to $vip 2>/dev/null);
        push @have, $space if length $said;
    }
    my $now = join ' ', @have;
    if ($now ne $last) { printf "%.3f %s\n", time, $now; $last = $now; }
    sleep 0.005;
}
printf "%.3f end\n", time;
