# shellcheck shell=bash
# Greets the event's "name" and logs one line. A real function would read its event with jq.
handler() {
    local event name=world
    event=$(cat)
    if [[ $event =~ \"name\"[[:space:]]*:[[:space:]]*\"([^\"\\]*)\" ]]; then
        name=${BASH_REMATCH[1]}
    fi
    echo "greeting $name, request $request_id" >&2
    printf '{"message": "Hello, %s!", "requestId": "%s"}' "$name" "$request_id"
}
