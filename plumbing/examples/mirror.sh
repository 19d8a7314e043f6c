#!/bin/sh
# Bring all branches and tags of a store, with all that they reach, to another store; only what is missing travels.
# Prints a line for each ref that moved: its name, and OLD..NEW. Refs that the first store has not are left alone.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: ${0##*/} FROM TO    (stores: folders or URLs)" >&2
    exit 2
fi
place() { # a folder's bare name would be the name of a remote
    case $1 in
        */* | .* | ~*) printf '%s' "$1" ;;
        *) printf './%s' "$1" ;;
    esac
}
from=$(place "$1") to=$(place "$2")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tab=$(printf '\t')

dpk for-each-ref --store="$from" --format='%(objectname)%09%(package)%09%(kind)%09%(name)' >"$work/wanted"
code=0
dpk ls-remote -- "$to" >"$work/there" 2>"$work/error" || code=$?
if [ "$code" -ne 0 ] && [ "$code" -ne 3 ]; then # 3: there is no store yet
    cat "$work/error" >&2
    exit "$code"
fi

# What the other store's refs reach it has whole. A commit that is not here came from elsewhere.
set --
while IFS=$tab read -r oid ref; do
    if dpk cat-object --exists --store="$from" -- "$oid" 2>/dev/null; then
        set -- "$@" "^$oid"
    fi
done <"$work/there"

# Not one pipe: where the list is cut short by an error, no ref may move.
dpk rev-list --objects --all --store="$from" -- "$@" >"$work/objects"
dpk send-objects --store="$from" -- "$to" <"$work/objects" >"$work/sent"

while IFS=$tab read -r oid package kind name; do
    old=$(awk -F '\t' -v ref="$package/$kind/$name" '$2 == ref { print $1 }' "$work/there")
    if [ "$old" = "$oid" ]; then
        continue
    fi
    if [ -n "$old" ] && ! dpk cat-object --exists --store="$from" -- "$old" 2>/dev/null; then
        echo "${0##*/}: $package/$kind/$name of $to is at $old, which $from has not: nothing was overwritten" >&2
        exit 5
    fi
    case $kind in
        heads) dpk update-ref --store="$to" --branch="$name" --message=mirror -- "$package" "$oid" "${old:-none}" ;;
        tags) dpk update-ref --store="$to" --tag="$name" --message=mirror -- "$package" "$oid" none ;;
    esac
    printf '%s/%s/%s %s..%s\n' "$package" "$kind" "$name" "$old" "$oid"
done <"$work/wanted"
