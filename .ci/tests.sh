# The parts of ./dev test.
# shellcheck shell=bash

# What the services can be broken by on purpose (service-kit/src/mutation.rs), with a schedule in which it shows.
declare -rA mutants=(
  [ack-before-commit]='2+1.5 lock messages; 2.6+0.5 kill postgres; 6+1.5 lock messages; 6.6+0.5 kill postgres'
  [no-dedupe]='2+2 slow=150 chat-service-0>postgres; 3+0.2 cut chat-service-0>postgres;
    5+2 slow=150 chat-service-1>postgres; 6+0.2 cut chat-service-1>postgres'
  [no-gap-healing]='2+1 cut gateway-0>nats; 5+1 cut gateway-1>nats'
  [counter-without-max]='3 flush redis; 5 flush redis; 7 flush redis'
)
# The promise that each breaks, as the report of the campaign names it.
declare -rA broken=(
  [ack-before-commit]='acked is stored'
  [no-dedupe]='stored once'
  [no-gap-healing]='delivered once, in order'
  [counter-without-max]='milestones told once'
)
# One fault of each kind; every run of the tests has them.
readonly every_kind='2+1 freeze chat-service-0; 4+0.5 stop milestone-service-0; 6+2 silent chat-service-0>postgres-0;
  9+2 half-open signaling-service-0>redis; 10+2 clock=-30 chat-service-1; 13+1 disk-full postgres; 16 wipe nats;
  19 flush redis; 20+0.5 lame-duck nats-1; 24+0.5 kill gateway-0; 26 roll chat-service; 29 promote postgres;
  32+1 lock messages; 34+2 slow=100 gateway-1>chat-service-0; 35+1 cut clients>gateway-1'

# What has to pass before a change lands.
quick_tests() {
  timed "unit and service tests" unit_tests
  timed "end-to-end tests" e2e_tests
  timed "fuzzing" fuzz_tests 5
  timed "faults of every kind" all_faults
  timed "build of the mutants" build_mutants
  timed "one mutant, and crashes" one_mutant
}

# What takes hours, on the same build.
nightly_tests() {
  timed "unit and service tests, ten times" ten_times unit_tests
  timed "end-to-end tests" e2e_tests
  timed "fuzzing" fuzz_tests 120
  timed "faults of every kind" all_faults
  timed "ten seeds of faults" ten_seeds
  timed "build of the mutants" build_mutants
  timed "every mutant, and crashes" every_mutant
  timed "a million simulated schedules" "$bin/simulation" --schedules 1000000
  timed "both builds side by side" both_builds
}

unit_tests() {
  section "unit and service tests"
  cargo test --release --workspace
}

ten_times() {
  local time
  for time in {1..10}; do
    say "time $time of 10"
    "$@"
  done
}

# e2e_tests [FILE…]
e2e_tests() {
  section "end-to-end tests"
  need_node
  need_chromium
  shopt -s nullglob
  local files=("$@") slowest=$TMPDIR/e2e.seconds
  ((${#files[@]})) || files=(e2e/conformance/*.test.mjs e2e/tests/*.test.mjs)
  ((${#files[@]})) || fail "e2e holds no *.test.mjs"
  # Two files at a time, as each has servers of its own and waits most of its time. Each test has its own limit; this
  # one is for what nobody thought of.
  CONFORMANCE=$bin/examples/conformance LOCAL_STACK=${LOCAL_STACK:-$bin/local-stack} \
    timeout --kill-after=20 "${E2E_LIMIT:-20m}" node --test --test-concurrency=2 \
    --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=./e2e/seconds.mjs --test-reporter-destination="$slowest" "${files[@]}"
  # The ten slowest files.
  local line
  while read -r line; do took+=("${line%% *}   ${line#* }"); done < <(head -n 10 "$slowest")
}

all_faults() {
  section "faults strike while users chat"
  "$bin/chaos" --gateways 2 --nats 3 --pg-standby --clients 16 --rate 120 --duration 38s --schedule "$every_kind" \
    --out .local/chaos.json
}

ten_seeds() {
  section "faults of ten fresh seeds strike a cluster"
  "$bin/chaos" --seed "$(date +%s)" --runs 10 --gateways 2 --nats 3 --pg-standby --duration 60s --out .local/seeds.json
}

one_mutant() {
  section "the fault campaign notices services that are broken on purpose"
  run_mutant ack-before-commit
  run_crashes
}

every_mutant() {
  section "the fault campaign notices services that are broken on purpose"
  local mutant
  for mutant in "${!mutants[@]}"; do run_mutant "$mutant"; done
  run_crashes
}

# The programs of an older build beside today's: each kind of old one with the new others, and the other way round.
both_builds() {
  section "an older build beside this one"
  if [[ -z ${OLD_BUILD:-} ]]; then
    say "skipped: OLD_BUILD names no folder with the programs of an older build"
    return
  fi
  local name folder
  local journeys=(e2e/tests/{chat,milestone,calls,recovery,rest,sending}.test.mjs)
  for name in "${services[@]}"; do
    say "an old $name among new ones"
    folder=$(mixed_folder "$bin" "$OLD_BUILD" "$name")
    LOCAL_STACK=$folder/local-stack e2e_tests "${journeys[@]}"
    say "a new $name among old ones"
    folder=$(mixed_folder "$OLD_BUILD" "$bin" "$name")
    LOCAL_STACK=$folder/local-stack e2e_tests "${journeys[@]}"
  done
  roll_to_new_build
}

# mixed_folder MOST OTHER NAME: a folder with the programs of one build, but for one of another. Today's local-stack
# starts the programs that lie beside it.
mixed_folder() {
  local folder=$TMPDIR/programs name
  rm -rf "$folder"
  mkdir -p "$folder"
  for name in "${services[@]}"; do cp "$1/$name" "$folder/$name"; done
  cp "$2/$3" "$folder/$3"
  cp "$bin/local-stack" "$folder/local-stack"
  printf '%s' "$folder"
}

# The upgrade itself, while users chat: each service is rolled from the old build to the new one.
roll_to_new_build() {
  say "an upgrade rolls while users chat"
  local folder name
  folder=$(mixed_folder "$OLD_BUILD" "$OLD_BUILD" gateway)
  "$bin/chaos" --programs "$folder" --gateways 2 --nats 3 --pg-standby --clients 16 --rate 120 --duration 45s \
    --schedule '15 roll chat-service; 21 roll milestone-service; 27 roll signaling-service; 33 roll gateway' \
    2> >(tee "$TMPDIR/roll.log" >&2) &
  local campaign=$!
  # The users have begun: all old programs run.
  until grep -q "^seed .* s  acked" "$TMPDIR/roll.log" 2>/dev/null; do
    kill -0 "$campaign" 2>/dev/null || break
    sleep 0.2
  done
  for name in "${services[@]}"; do
    cp "$bin/$name" "$folder/$name.new"
    mv "$folder/$name.new" "$folder/$name"
  done
  wait "$campaign" || fail "the upgrade broke a promise"
}

# Beside the normal programs, which then only take their place again. With the whole workspace to choose from and a test
# among what is built, whichever it is, dependencies have the features that they have for all tests (--all-targets) and
# are not built again.
build_mutants() {
  local programs=(--workspace --test servers) name
  for name in "${services[@]}"; do programs+=(--bin "$name"); done
  build "${programs[@]}" --features service-kit/mutations
  mkdir -p "$bin/../mutants"
  for name in "${services[@]}"; do cp "$bin/$name" "$bin/../mutants/$name"; done
  build "${programs[@]}"
}

# Succeeds if the campaign fails as it should, and says why.
run_mutant() {
  local mutant=$1 status=0 report
  shift
  say "the mutant $mutant"
  report=$(timeout 90 "$bin/chaos" --programs "$bin/../mutants" --env "MUTATION=$mutant" --gateways 2 --clients 16 \
    --rate 120 --match-length 130 --duration 10s --settle 5s --schedule "${mutants[$mutant]}" "$@") || status=$?
  printf '%s\n' "$report"
  ((status == 1)) || fail "the mutant $mutant was not noticed (exit code $status)"
  grep -Eq "^${broken[$mutant]} +[0-9]+ +[1-9]" <<<"$report" || fail "not what the mutant $mutant breaks was noticed"
  say "noticed, as it should be"
}

# Replicas that crash between the COMMIT of a match's last message, which completes its milestone, and telling anybody
# of it must break no promise.
run_crashes() {
  say "crashes between COMMIT and publishing"
  local status=0 report folder
  report=$("$bin/chaos" --programs "$bin/../mutants" --env MUTATION=crash-after-commit --gateways 2 --clients 16 \
    --rate 120 --match-length 100 --duration 12s --settle 15s --schedule none --keep 2>&1) || status=$?
  printf '%s\n' "$report"
  ((status == 0)) || fail "a crash between COMMIT and publishing broke a promise (exit code $status)"
  folder=$(sed -n 's/^logs and data: //p' <<<"$report")
  grep -q "crashing on purpose" "$folder"/log/chat-service-*.log || fail "no replica has crashed"
  rm -r "$folder"
}

# fuzz_tests SECONDS
fuzz_tests() {
  section "fuzzing the parsers, $1 s each"
  cmd_fuzz --seconds "$1"
}
