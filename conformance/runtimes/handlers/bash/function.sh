# shellcheck shell=bash
# The check handler for examples/bash-runtime, with jq: does what `firesteel check` asks of it. See
# conformance/runtimes/README.md. The runtime tells of request id, deadline and trace, and of nothing else.
handler() {
    local event="$scratch/check"
    cat >"$event"
    case $(jq -r '."firesteel-check"' "$event") in
    echo) jq -c .value "$event" ;;
    fail)
        jq -r .message "$event" >&2
        return 1
        ;;
    size) jq -c '"x" * .bytes' "$event" ;;
    sleep)
        sleep "$(jq '.ms / 1000' "$event")"
        jq -c .value "$event"
        ;;
    context)
        jq -nc --arg id "$request_id" --arg deadline "$deadline_ms" --arg trace "$_X_AMZN_TRACE_ID" \
            '{request_id: $id, deadline_ms: ($deadline | tonumber), trace_id: $trace}'
        ;;
    *) echo '{"firesteel-check": "not played"}' ;;
    esac
}
