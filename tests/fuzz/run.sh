#!/usr/bin/env bash
# Each target under libFuzzer for FUZZ_SECONDS, or those named in FUZZ_TARGETS. The pinned stable compiler is enough: its passes
# count coverage, and libFuzzer is linked in. What was found interesting is kept in target/fuzz/corpus for the next time.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${FUZZ_SECONDS:-60}
read -ra targets <<<"${FUZZ_TARGETS:-$(ls tests/fuzz/seeds | xargs)}"
built=target/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')

# Instead of the flags in .cargo/config.toml, so that one is here again. A named host keeps them from build scripts and macros.
export RUSTFLAGS="--cfg tokio_unstable -Cpasses=sancov-module -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --locked --target-dir "$built" --target "$host" -p claviger-fuzz --features libfuzzer

failed=()
for target in "${targets[@]}"; do
  corpus=$built/corpus/$target
  mkdir -p "$corpus" "$built/found"
  echo "fuzz $target: $seconds s"
  # The limits of heap and the rest are the target's own; this one of memory is for leaks.
  if CLAVIGER_FUZZ_TARGET=$target CLAVIGER_FUZZ_CORPUS=$corpus "$built/$host/debug/claviger-fuzz" "$corpus" \
    -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -use_value_profile=1 -print_final_stats=1 \
    -artifact_prefix="$built/found/$target-" >"$built/$target.log" 2>&1; then
    sed -n 's/^stat::number_of_executed_units: */  runs: /p; s/^stat::new_units_added: */  new ways: /p; s/^stat::peak_rss_mb: */  MiB at most: /p' "$built/$target.log"
    grep -o 'cov: [0-9]*' "$built/$target.log" | tail -1 | sed 's/^/  /'
  else
    failed+=("$target")
    tail -n 30 "$built/$target.log"
  fi
done
[ ${#failed[@]} -eq 0 ] || {
  echo "found something: ${failed[*]}. What broke them is in $built/found; once it is mended, keep it in tests/fuzz/seeds/<target>/found-…"
  exit 1
}
