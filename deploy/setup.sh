#!/usr/bin/env bash
# Installs the Debian packages that building and testing need, if they are missing. Does nothing the second time.
set -euo pipefail

# Command or file that proves it, then the package.
needs=(
  "command:gcc gcc"
  "command:g++ g++"
  "command:make make"
  "command:ccache ccache"
  "command:gdb gdb"
  "command:python3 python3"
  "command:pkill procps"
  "command:openssl openssl"
  "command:node nodejs"
  "command:npm npm"
  "glob:/usr/lib/llvm-*/lib/libclang.so* libclang-dev"
  "glob:/usr/lib/llvm-*/lib/clang/*/include/stddef.h libclang-dev"
  "python:ensurepip python3-venv"
)

has() {
  case "$1" in
    command:*) command -v "${1#command:}" >/dev/null ;;
    glob:*) compgen -G "${1#glob:}" >/dev/null ;;
    python:*) python3 -c "import ${1#python:}" 2>/dev/null ;;
  esac
}

missing=()
for need in "${needs[@]}"; do
  read -r proof package <<<"$need"
  has "$proof" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] || {
  echo "installing: ${missing[*]}"
  become=""
  [ "$(id -u)" -eq 0 ] || become="sudo"
  $become apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $become apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

command -v cargo >/dev/null || {
  echo "cargo is missing: install Rust (the toolchain is named in rust-toolchain.toml) with rustup, then run this again" >&2
  exit 1
}
