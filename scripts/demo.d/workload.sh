# shellcheck shell=bash disable=SC2034,SC2154  # variables are shared with scripts/demo
# What goes on in the background: the application's traffic, and the loop that destroys files.

background=()

# A fixed rate, as people produce it, rather than as much as the machine can bear: what matters is whether
# anybody is kept waiting. pgbench tries each transaction once and gives up a client at the first error.
start_workload() {
    local scripts=$parts/workload
    PGAPPNAME=workload pgbench -n -M prepared -c "$clients" -j 1 -T 3600 --rate "$rate" \
        -l --log-prefix "$work/transactions" -D dossiers="$dossiers" -D users=$((dossiers / 4)) \
        -f "$scripts/read_dossier.sql@10" -f "$scripts/edit_champ.sql@5" -f "$scripts/sign_in.sql@3" \
        -f "$scripts/write_commentaire.sql@2" -f "$scripts/submit_dossier.sql@1" \
        "$(conninfo live app)" >"$output/workload/pgbench.txt" 2>"$output/workload/errors.txt" &
    workload=$!
    background+=("$workload")
}

# The alarm is what ends pgbench when its time (-T) is up; sent early, it finishes and reports all the same.
stop_workload() {
    kill -ALRM "$workload" 2>/dev/null || true
    wait "$workload" || true
    cat "$work"/transactions.* >"$work/transactions"
    transactions=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$output/workload/pgbench.txt")
    failed_transactions=$(count_failures)
}

# Counted three ways: pgbench's own figure, clients that gave up, and errors the server saw from them.
count_failures() {
    local counted aborted seen
    [[ -n $transactions ]] || { echo all; return; }
    counted=$(sed -n 's/^number of failed transactions: \([0-9]*\).*/\1/p' "$output/workload/pgbench.txt")
    aborted=$(grep -c 'aborted' "$output/workload/errors.txt" || true)
    seen=$(grep -cE '\] workload (ERROR|FATAL):' "$work/live/server.log" || true)
    printf '%s\n' "${counted:-0}" "$aborted" "$seen" | sort -n | tail -n 1
}

report_workload() {
    local calm_until=$loss_began_at
    {
        printf '%-28s %14s %12s %12s\n' 'the application' 'transactions' 'median ms' 'slowest ms'
        latency 'before the incident' 0 "$calm_until"
        latency 'during the restore' "$(epoch "$restore_began")" "$(epoch "$restore_ended")"
    } | tee "$output/workload/latency.txt" | sed 's/^/   /'
}

# Columns of pgbench's log: client, transaction, microseconds, script, seconds and microseconds of its end, lag
# behind the schedule (included in the time, so taken off here).
latency() {
    awk -v from="$2" -v to="$3" '{ at = $5 + $6 / 1e6 } at >= from && at < to { print ($3 - $7) / 1000 }' "$work/transactions" |
        sort -n | awk -v what="$1" '{ t[NR] = $1 }
            END { if (NR) printf "%-28s %14d %12.1f %12.1f\n", what, NR, t[int((NR + 1) / 2)], t[NR] }'
}

epoch() { date -u -d "$1" +%s.%N; }

# destroy IDS SECONDS REASON NOTEBOOK: dossier after dossier in one psql session, paced so that it takes about so long. The
# notebook has one line per deleted row (table, id, digest).
destroy() {
    local start
    start=$(date +%s.%N)
    awk -v start="$start" -v pace="$(awk -v s="$2" -v n="$(wc -l <"$1")" 'BEGIN { print s / n }')" -v reason="$3" \
        -v script="$parts/destroy_dossier.sql" '
        { printf "\\set dossier %s\n\\set reason %s\n\\set due %.4f\n\\i %s\n", $1, reason, start + NR * pace, script }' "$1" |
        PGAPPNAME=application sql live app -q -At -F $'\t' >"$4"
}

kill_background() {
    local pid
    for pid in "${background[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
}
