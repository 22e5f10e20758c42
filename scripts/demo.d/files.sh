# shellcheck shell=bash disable=SC2034,SC2154  # variables are shared with scripts/demo
# The files: an object store that speaks S3 (SeaweedFS), with one bucket for the application and one for the nightly copy.
# It listens on loopback only. Wants `work`, as the servers do.
#
# What becomes of the files of deleted dossiers depends on the number of their blob, so that every run tells the same story:
#   0 to 7 of 20     the purge was stopped before it came to them
#   8 to 13          deleted where the bucket keeps versions: a delete marker lies over them
#   14 to 17         gone from the application's bucket, but in the copy
#   18, 19           in neither: gone

store_port=54340
# (awk's conditions, of lines that begin with the number)
under_marker='$1 % 20 >= 8 && $1 % 20 <= 13'
gone_for_good='$1 % 20 >= 14'
in_the_copy='$1 % 20 < 18'
in_neither='$1 % 20 >= 18'

start_store() {
    local weed home=$work/store port=$store_port
    weed=$("$here/seaweedfs") || die 'without an object store the demo cannot show what becomes of the files'
    mkdir -p "$home/data"
    export S3_ENDPOINT=http://127.0.0.1:$store_port AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo-secret AWS_REGION=us-east-1
    unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3
    cat >"$home/s3.json" <<END
{"identities": [{"name": "demo", "credentials": [{"accessKey": "$AWS_ACCESS_KEY_ID", "secretKey": "$AWS_SECRET_ACCESS_KEY"}],
                 "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
END
    "$weed" server -ip=127.0.0.1 -ip.bind=127.0.0.1 -dir="$home/data" -master.port=$((port + 1)) -master.port.grpc=$((port + 2)) \
        -master.volumeSizeLimitMB=64 -master.telemetry=false -volume.port=$((port + 3)) -volume.port.grpc=$((port + 4)) \
        -volume.max=100 -filer -filer.port=$((port + 5)) -filer.port.grpc=$((port + 6)) -s3 -s3.port="$port" \
        -s3.port.grpc=$((port + 7)) -s3.port.iceberg=0 -s3.port.lance=0 -s3.config="$home/s3.json" >"$home/log" 2>&1 &
    store=$!
    # It goes on until it is told to stop: nobody waits for it.
    disown "$store"
    local tries=0
    until s3 make app-files app-copy 2>/dev/null; do
        kill -0 "$store" 2>/dev/null || die "the object store ended: $(tail -n 3 "$home/log")"
        ((++tries < 100)) || die "the object store does not answer on port $port; its log is $home/log"
        sleep 0.2
    done
}

# What it holds is thrown away, so there is no end to wait for.
stop_store() {
    [[ -z ${store:-} ]] || kill -KILL "$store" 2>/dev/null || true
}

s3() { python3 "$parts/s3.py" "$@"; }

# The files of the dossiers that the loop will reach, and of some of their neighbours.
fill_store() {
    mkdir "$work/files"
    sql live app -At -F ' ' -f "$parts/files.sql" >"$work/blobs"
    awk -v into="$work/files" '{ name = into "/" $2; for (n = 0; n <= $1 % 50; n++) printf "content of file %d\n", $1 > name; close(name) }' "$work/blobs"
    cut -d ' ' -f 2 "$work/blobs" | s3 put app-files "$work/files"
    keys_where "$in_the_copy" | s3 put app-copy "$work/files"
    s3 versions app-files
}

# keys_where CONDITION [BLOBS]: the keys of those files.
keys_where() { awk "$1 { print \$2 }" "${2:-$work/blobs}"; }

# The application's purge jobs, which follow a deletion.
purge() {
    awk 'NR == FNR { if ($1 == "active_storage_blobs") gone[$2]; next } $1 in gone' "$work/deleted" "$work/blobs" >"$work/purged"
    keys_where "$under_marker" "$work/purged" | s3 delete app-files
    keys_where "$gone_for_good" "$work/purged" | s3 delete-version app-files
}

# Without reinstate: every document of the purged dossiers is read from the bucket, and compared with the checksum that live
# has of it, by SQL; those that neither bucket had are lost, and no other.
prove_documents() {
    awk '{ print $2 }' "$work/purged" | s3 md5 app-files | sort >"$work/documents"
    sql live app -At -F $'\t' -c "select key, encode(decode(checksum, 'base64'), 'hex') from active_storage_blobs" | sort >"$work/recorded"
    awk '{ print $2 }' "$work/purged" | sort | join - "$work/recorded" | tr ' ' '\t' >"$work/expected"
    documents_back=$(comm -12 "$work/expected" "$work/documents" | wc -l)
    documents_lost=$(keys_where "$in_neither" "$work/purged" | sort | join - "$work/recorded" | wc -l)
    documents_alone=$(keys_where "$under_marker || $gone_for_good" "$work/purged" | sort | join - "$work/recorded" | wc -l)
    documents_wrong=$(($(wc -l <"$work/expected") - documents_back - documents_lost))
}
