# shellcheck shell=bash disable=SC2034,SC2154  # variables are shared with scripts/demo
# How the demo talks: numbered steps, plain sentences, and the very commands it runs.
# Colours only where standard output is a terminal and NO_COLOR is unset or empty.

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold='' dim='' red='' green='' plain=''
fi
chapter=0

step() {
    chapter=$((chapter + 1))
    printf '\n%s%d. %s%s  %s[%d s]%s\n' "$bold" "$chapter" "$1" "$plain" "$dim" "$SECONDS" "$plain"
}

say() { printf '   %s\n' "$@"; }
good() { printf '   %s%s%s\n' "$green" "$1" "$plain"; }
bad() { printf '   %s%s%s\n' "$red" "$1" "$plain"; }

die() {
    printf '%sdemo: %s%s\n' "$red" "$1" "$plain" >&2
    exit 1
}

# Prints a command as it could be typed, then runs it. Its exit code is the function's.
run() {
    printf '\n%s   $ %s%s\n' "$bold" "$(typed "$@")" "$plain"
    "$@"
}

# Quotes only the words that need it.
typed() {
    local word line=''
    for word in "$@"; do
        [[ $word =~ ^[A-Za-z0-9_./:=@%+,-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
        line+=" $word"
    done
    printf '%s' "${line# }"
}
