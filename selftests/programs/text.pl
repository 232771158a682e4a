# SPDX-License-Identifier: GPL-2.0
# Hashes, regular expressions, sorting, sprintf, a pipe to another program.
use strict;
use warnings;

$| = 1;
my $size = shift // 10;
my (%count, @list);
my $state = 42;
for my $turn (1 .. $size) {
	for (1 .. 2000) {
		$state = ($state * 1103515245 + 12345) % 2147483648;
		my $word = sprintf '%x-%s', $state, reverse $state;
		$count{$1}++ while $word =~ /([0-9a-f]{2})/g;
		push @list, $state if $state % 97 == 0;
	}
	@list = sort { $a <=> $b } @list;
	my $text = join ',', map { "$_=$count{$_}" } (sort keys %count)[0 .. 5];
	printf "%d %s %.6f %d\n", $turn, $text, atan2($turn, $state), scalar @list;
}
open my $pipe, '-|', 'echo piped | tr a-z A-Z' or die;
print <$pipe>;
close $pipe;
exit 3;
