# shellcheck shell=bash disable=SC2034,SC2154  # variables are shared with scripts/demo
# Two throwaway PostgreSQL servers: `live` (production) and `backup` (where last night's backup is restored).
# They listen on Unix sockets in a private directory and on nothing else, so any port is free. They are
# stopped by their data directory. Wants `work`, a private directory with a short path.

declare -A port=([live]=54321 [backup]=54322)

# Puts PostgreSQL's programs on the PATH: those in REINSTATE_PG_BIN, or the newest of Debian's, which keeps a
# directory for each version.
find_programs() {
    local dir newest=''
    for dir in /usr/lib/postgresql/*/bin; do
        [[ -x $dir/postgres && -x $dir/pgbench ]] && newest=$(printf '%s\n' "$newest" "$dir" | sort -V | tail -n 1)
    done
    newest=${REINSTATE_PG_BIN:-$newest}
    [[ -z $newest ]] || PATH=$newest:$PATH
    local program
    for program in initdb pg_ctl postgres psql pgbench pg_dump pg_restore vacuumdb; do
        command -v "$program" >/dev/null || die "PostgreSQL's $program was not found; run scripts/setup"
    done
}

# PostgreSQL refuses to run as root: then its own user runs the servers.
unprivileged() {
    if [[ $(id -u) -ne 0 ]]; then
        "$@"
    elif command -v runuser >/dev/null; then
        (cd / && runuser -u postgres -- "$@")
    else
        (cd / && su postgres -s /bin/sh -c "$(typed "$@")")
    fi
}

start_server() {
    local name=$1
    local home=$work/$name
    mkdir "$home"
    [[ $(id -u) -ne 0 ]] || chown postgres "$home"
    unprivileged "$(command -v initdb)" -D "$home/data" -U postgres -A trust -E UTF8 --no-locale --no-sync >/dev/null
    cat >>"$home/data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$home'
port = ${port[$name]}
shared_buffers = 256MB
max_wal_size = 4GB
checkpoint_timeout = 30min
fsync = off                 # a throwaway server may lose everything when the machine does
full_page_writes = off
log_line_prefix = '%m [%p] %a '
log_lock_waits = on
timezone = 'UTC'
END
    unprivileged "$(command -v pg_ctl)" -D "$home/data" -l "$home/server.log" -w -s start
    sql "$name" postgres -q <<'END'
create role app login;
create role operator login in role app;
create database app owner app;
END
}

# sql SERVER ROLE [psql arguments]: the database is the application's, except for the superuser at the start.
sql() {
    local name=$1 role=$2
    shift 2
    local database=app
    [[ $role == postgres ]] && database=postgres
    psql -X -v ON_ERROR_STOP=1 "$(conninfo "$name" "$role" "$database")" "$@"
}

conninfo() { printf 'host=%s port=%s user=%s dbname=%s' "$work/$1" "${port[$1]}" "$2" "${3:-app}"; }

stop_server() {
    local data=$work/$1/data
    [[ -f $data/postmaster.pid ]] || return 0
    unprivileged "$(command -v pg_ctl)" -D "$data" -m immediate -w -s stop || true
}
