# What .ci/run and .ci/nightly share: steps that are timed and counted, what they install, a throw-away PostgreSQL.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for the scripts that read this file
CARGO_DENY_VERSION=0.20.2

export CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never DEBIAN_FRONTEND=noninteractive
scratch=$(mktemp -d)
chmod 711 "$scratch"
tools=$PWD/target/ci
mkdir -p "$tools"
report=() failed=0
database=$scratch/postgresql

# step HEADING COMMAND...: runs a command or a function; when it fails, the others still have their turn.
step() {
    local heading=$1 begin=$SECONDS status=0 verdict=ok
    shift
    printf '\n==== %s\n' "$heading"
    # A shell of its own, outside of any condition, so that `set -e` holds inside of functions.
    set +e
    (
        set -e
        "$@"
    )
    status=$?
    set -e
    if ((status != 0)); then
        verdict="FAILED ($status)"
        failed=$((failed + 1))
    fi
    report+=("$(printf '%5d s  %-12s %s' $((SECONDS - begin)) "$verdict" "$heading")")
    echo "---- $verdict after $((SECONDS - begin)) s: $heading"
}

# required HEADING COMMAND...: a step without which the others make no sense.
required() {
    step "$@"
    ((failed == 0)) || finish
}

# finish: tells how it went, and ends with the status of it.
finish() {
    printf '\n==== Summary, %d s in all\n' "$SECONDS"
    printf '%s\n' "${report[@]}"
    ((failed == 0)) || exit 1
    exit 0
}

stop_all() {
    trap - EXIT
    stop_postgresql
    rm -rf "$scratch"
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

has() {
    command -v "$1" >/dev/null
}

# install_packages [PACKAGE...]: from Debian, what is missing here, and these. What came from elsewhere is left alone.
install_packages() {
    local missing=()
    has cargo || { echo "Rust is needed: install it with rustup" && return 1; }
    has cc || missing+=(gcc libc6-dev)
    has make || missing+=(make)
    postgresql_folder >/dev/null || missing+=(postgresql)
    python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
    has node || missing+=(nodejs)
    has npm || missing+=(npm)
    has chromium || missing+=(chromium)
    has chromedriver || missing+=(chromium-driver)
    has faketime || missing+=(faketime)
    has openssl || missing+=(openssl)
    has systemd-analyze || missing+=(systemd)
    [[ -x /usr/sbin/nginx ]] || missing+=(nginx-light)
    has caddy || missing+=(caddy)
    missing+=("$@")
    if ((${#missing[@]} == 0)); then
        echo "everything is there"
    elif ((EUID == 0)); then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "${missing[@]}"
    elif has sudo; then
        sudo -n apt-get update -qq
        sudo -n apt-get install -y -qq --no-install-recommends "${missing[@]}"
    else
        echo "run this as root, or install first: ${missing[*]}" && return 1
    fi
}

# install_cargo_tool NAME VERSION: into target/ci/bin, not optimised: it compiles longer than it runs.
install_cargo_tool() {
    "$tools/bin/$1" --version 2>/dev/null | grep -qwF "$2" ||
        env -u CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
            CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0 \
            cargo install --quiet --locked --force --root "$tools" "$1@$2"
}

# postgresql_folder: where the newest server's programs are; Debian keeps them out of PATH.
postgresql_folder() {
    local newest
    newest=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1)
    [[ -n $newest ]] && dirname "$newest"
}

# as_postgres COMMAND...: PostgreSQL refuses to run as root.
as_postgres() (
    cd /
    if ((EUID == 0)); then exec runuser -u postgres -- "$@"; else exec "$@"; fi
)

# A cluster of our own, reached by a socket that only this user and root can open; no port, so none can be taken.
TEST_POSTGRES_URL="postgres://folkmoot@localhost/postgres?host=${database//\//%2F}"
export TEST_POSTGRES_URL
start_postgresql() {
    local folder
    folder=$(postgresql_folder)
    mkdir -m 700 "$database"
    ((EUID != 0)) || chown postgres: "$database"
    as_postgres "$folder/initdb" --pgdata "$database/data" --username folkmoot --auth trust --encoding UTF8 \
        --locale C --no-sync >/dev/null
    as_postgres "$folder/pg_ctl" --pgdata "$database/data" --log "$database/log" --silent --wait start \
        --options "-c listen_addresses= -c unix_socket_directories=$database -c fsync=off" ||
        { cat "$database/log" && return 1; }
    as_postgres "$folder/psql" --host "$database" --username folkmoot --dbname postgres --no-align --tuples-only \
        --command 'SELECT version()'
}

stop_postgresql() {
    [[ -e $database/data/postmaster.pid ]] || return 0
    as_postgres "$(postgresql_folder)/pg_ctl" --pgdata "$database/data" --silent --mode immediate stop || true
}
