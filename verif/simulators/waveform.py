"""A waveform (FST) of a window of a cocotb simulation under Verilator.

Verilator's FST writer wants the development files of lz4 and zlib, which a machine with only g++ and make lacks. The
four functions that it uses are given here as headers that store instead of compress: valid files, larger ones.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hardloom.verif.simulators.verilator import adapted_main, verilate

__all__ = ["WINDOW", "verilate_traced", "window"]

WINDOW = "HARDLOOM_WAVEFORM"
"""Environment variable of the traced executable: `FIRST LAST FILE`, in time steps, LAST not included."""

LZ4 = """\
// LZ4 blocks that hold literals only (LZ4 block format, one last sequence).
#pragma once
#include <cstring>
static inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }
static inline int LZ4_compress_default(const char* from, char* to, int size, int) {
    char* at = to;
    *at++ = static_cast<char>((size < 15 ? size : 15) << 4);
    if (size >= 15) {
        int rest = size - 15;
        for (; rest >= 255; rest -= 255) *at++ = static_cast<char>(255);
        *at++ = static_cast<char>(rest);
    }
    std::memcpy(at, from, size);
    return static_cast<int>(at - to) + size;
}
"""

ZLIB = """\
// zlib streams of stored blocks (RFC 1950 and 1951).
#pragma once
#include <cstring>
typedef unsigned char Bytef;
typedef unsigned long uLong, uLongf;
#define Z_OK 0
static inline uLong compressBound(uLong size) { return size + 5 * (size / 65535 + 1) + 6; }
static inline int compress2(Bytef* to, uLongf* bound, const Bytef* from, uLong size, int) {
    Bytef* at = to;
    *at++ = 0x78;
    *at++ = 0x01;
    uLong a = 1, b = 0, done = 0;
    do {
        const uLong part = size - done < 65535 ? size - done : 65535;
        *at++ = done + part == size;
        *at++ = part & 255;
        *at++ = part >> 8;
        *at++ = ~part & 255;
        *at++ = (~part >> 8) & 255;
        std::memcpy(at, from + done, part);
        at += part;
        done += part;
    } while (done < size);
    for (uLong i = 0; i < size; ++i) {
        a = (a + from[i]) % 65521;
        b = (b + a) % 65521;
    }
    for (const uLong half : {b, a}) {
        *at++ = half >> 8;
        *at++ = half & 255;
    }
    *bound = at - to;
    return Z_OK;
}
"""

READ_WINDOW = f"""\
#include <cstdlib>
#include <sstream>
struct Window {{
    std::string file;
    vluint64_t first = 0, last = 0;
    Window() {{
        const char* text = std::getenv("{WINDOW}");
        if (!text) return;
        std::istringstream fields(text);
        fields >> first >> last >> std::ws;
        std::getline(fields, file);  // a path may hold blanks
    }}
}};
static const Window window;
"""


def window(file: Path, first: int, last: int) -> dict[str, str]:
    """Environment that makes the traced executable write clock cycles `first` to `last` (excluded) of 2 time steps."""
    return {WINDOW: f"{2 * first} {2 * last} {file.resolve()}"}


def traced_main() -> str:
    """cocotb's main program, changed to write the window only."""
    return adapted_main(
        {
            "static vluint64_t main_time": READ_WINDOW + "\nstatic vluint64_t main_time",
            "bool traceOn = false;": "bool traceOn = !window.file.empty();",
            "tfp->open(traceFile);": "tfp->open(window.file.c_str());",
            "tfp->dump(main_time);": "if (main_time >= window.first && main_time < window.last) tfp->dump(main_time);",
        }
    )


def verilate_traced(sources: Sequence[Path], top: str, folder: Path, quiet: Sequence[str] = ()) -> None:
    """As `verilate`, with a main program that traces; signals of the files `quiet` (patterns of paths) are left out."""
    shims = folder / "fst"
    shims.mkdir(parents=True, exist_ok=True)
    (shims / "lz4.h").write_text(LZ4)
    (shims / "zlib.h").write_text(ZLIB)
    (shims / "main.cpp").write_text(traced_main())
    rules = "".join(f'tracing_off -file "{pattern}"\n' for pattern in quiet)
    (shims / "quiet.vlt").write_text(f"`verilator_config\n{rules}")
    for library in ("lz4", "z"):
        archive = shims / f"lib{library}.a"
        archive.unlink(missing_ok=True)
        subprocess.run([shutil.which("ar") or "ar", "rc", archive.name], cwd=shims, check=True)
    arguments = ["--trace-fst", "-CFLAGS", f"-I{shims.name}", "-LDFLAGS", f"-L{shims.name}", f"{shims.name}/quiet.vlt"]
    verilate(sources, top, folder, arguments, main=shims / "main.cpp")
