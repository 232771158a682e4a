# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# git: a repository is made, cloned in two ways, worked on, pushed, packed and checked.
# Argument: how many commits.
set -e
export HOME="$PWD" GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat LC_ALL=C
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
git config --global user.name Somebody
git config --global user.email somebody@example.org
git config --global init.defaultBranch main
git config --global pack.threads 3
git config --global gc.auto 0

# Everything that a repository has: references, objects with their kind and size.
all()
{
	git -C "$1" fsck --full --strict --no-progress
	git -C "$1" for-each-ref --format='%(objectname) %(objecttype) %(refname)'
	git -C "$1" cat-file --batch-all-objects --batch-check | cksum
}

git init -q --bare origin.git
awk -v commits="$1" 'BEGIN {
	for (c = 1; c <= commits; c++) {
		printf "commit refs/heads/main\nmark :%d\n", c
		printf "committer Somebody <somebody@example.org> %d +0000\n", 1600000000 + c * 60
		text = "commit " c "\n"
		printf "data %d\n%s", length(text), text
		for (f = 0; f < 4; f++) {
			text = ""
			for (l = 0; l < 100; l++)
				text = text "line " l " of " (c * 7 + f * 13 + (l % (c + 5))) "\n"
			printf "M 100644 inline d%d/f%d\ndata %d\n%s\n", c % 5, (c * 3 + f) % 17, length(text), text
		}
	}
	print "done"
}' | git -C origin.git fast-import --quiet --done
git -C origin.git tag -a -m 'A tag' first main~3

git clone -q "file://$PWD/origin.git" one
"$(git --exec-path)/git-daemon" --base-path="$PWD" --export-all --listen=127.0.0.1 --reuseaddr &
daemon=$!
trap 'kill $daemon 2>/dev/null || :' EXIT
until git ls-remote git://127.0.0.1/origin.git >/dev/null 2>&1; do kill -0 $daemon; done
git clone -q git://127.0.0.1/origin.git two

# Two lines of work that have to be merged.
for branch in left right; do
	git -C one checkout -q -b $branch main
	seq 1 2000 | sed "s/$/ $branch/" >one/$branch
	sed -i "1s/^/$branch /" "one/$(git -C one ls-files | grep f | sed -n "$([ $branch = left ] && echo 1p || echo 2p)")"
	git -C one add -A
	git -C one commit -q -m "The $branch side"
done
git -C one merge -q --no-edit left
git -C one push -q origin left right
git -C two fetch -q
git -C two checkout -q right
git -C two rebase -q origin/left

git -C one gc -q --prune=now
git -C two repack -q -a -d -f --window=20
git -C two prune
git -C two bundle create -q ../bundle --all
git clone -q --mirror bundle three
for repository in origin.git one two three; do
	echo "$repository"
	all $repository
done
git -C three log --all --stat --format='%H %T %s' | cksum
(cd one && find . -path ./.git -prune -o -type f -print | sort | xargs cksum | cksum)
kill $daemon
{ wait $daemon; } 2>/dev/null || echo "the daemon ended with $?"
