#!/bin/sh
# Publish a folder as the newest commit of a package, if it holds anything new.
# Prints the commit. Many may run at once: whoever is overtaken looks again, and puts a commit on top.
set -eu

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
    echo "usage: ${0##*/} OWNER/NAME PATH [MESSAGE]" >&2
    exit 2
fi
package=$1 path=$2 message=${3:-nightly build}

dpk check-ref-format --kind=package -- "$package"
tree=$(dpk write-tree -- "$path")

for _ in 1 2 3 4 5 6 7 8 9 10; do
    tip=$(dpk for-each-ref --format='%(objectname)' -- "$package/heads/main")
    if [ -n "$tip" ] && [ "$(dpk rev-parse --tophash "$tip")" = "$tree" ]; then
        echo "$tip"
        exit 0
    fi
    commit=$(dpk commit-tree ${tip:+--parent="$tip"} --message="$message" -- "$tree")
    code=0
    dpk update-ref --message="$message" -- "$package" "$commit" "${tip:-none}" || code=$?
    case $code in
        0) echo "$commit"; exit 0 ;;
        5) sleep 1 ;; # someone else moved the branch meanwhile
        *) exit "$code" ;;
    esac
done
exit 5
