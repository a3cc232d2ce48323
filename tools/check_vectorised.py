#!/usr/bin/env python3
"""Checks the machine code of the kernels: that each is made of vector instructions of its instruction set.

    RUSTFLAGS=-Csymbol-mangling-version=v0 CARGO_TARGET_DIR=target/symbols cargo build --release --lib
    python3 tools/check_vectorised.py target/symbols/release/librecurrent.rlib

The library itself is looked at, not a program: it has all kernels, whether a program calls them or not. With v0 mangling
their names tell for what they are compiled: `token::avx512::<blocks::Sums<f32, __m512, 4, false>>`. For x86-64; needs
objdump. See the traps in `src/kernels/mod.rs`, which are what this finds.
"""

import re
import subprocess
import sys
from collections import Counter, defaultdict

# The width of a line of 64 bytes in each set, and of half of it: the registers' letter, and how many of them.
LINE = {"avx512": ("z", 1), "avx2": ("y", 2), "baseline": ("x", 4)}
HALF_LINE = {"avx512": ("y", 1), "avx2": ("y", 1), "baseline": ("x", 2)}
# The rows of a block of sums.
ROWS = {"avx512": [1, 2, 3, 4, 6, 8], "avx2": [1, 2, 3, 4, 6], "baseline": [1, 2]}

# Kernels whose inner loops are products, by what their name begins with; the number of lines (and groups) in a loop.
ONE_ROW = {
    "drive::one_row::OneRow<": None,  # the number of lines is in the name
    "drive::one_row::OneRowInPairs<": None,
    "drive::one_row::OneRowUnfused<": None,
    "drive::one_row::OnlyTile<": None,
    "drive::one_row::LastTile<": None,
    "drive::reset_before::one_row::GatesOfRow<": None,
    "drive::reset_before::one_row::CandidateOfRow<": None,
    "drive::flat::OneRow<": None,
    "drive::flat::OnlyGroup<": None,
}
# The units that the drivers of tiles are compiled for.
UNITS = ["units::lstm::Lstm", "units::gru_after::GruAfter"]
# Functions of a unit over whole vectors: no scalar is left over.
WHOLE_VECTORS = ["drive::blocked::Fused<", "drive::blocked::Recorded<", "drive::flat::AnyRows<"]
# Loops over rows of any length, the last elements of which are scalars: how many times as many operations there are on
# scalars at most. A loop of few operations has its rest unrolled.
ANY_LENGTH = {
    "activate::Forward<": 1.1,
    "activate::Backward<": 1.1,
    "backward::first::": 3,
    "backward::outer::Flush<": 5,
    "backward::outer::Outer<": 0.1,
    "backward::outer::Sum<": 1,
    "depthwise::Depthwise<": 1,
    "drive::reset_before::rows::AnyRows<": 1.1,
    "drive::reset_before::one_row::RestOfRow<": 2,
    "drive::blocked::Unfused<": 3,
    "units::gru_before::Reset<": 3,
    "quantized::formulas::": 3,
}
# The largest block of sums of outer products, by set.
OUTER = {"avx512": 24, "avx2": 12, "baseline": 24}
# Sums of products of bytes: the instruction, its registers, and how many stand in the largest block. Baseline has no
# such instruction of its own.
BYTES = {"avx512_vnni": ("vpdpbusd", "z", 16), "avx2": ("vpmaddwd", "y", 16)}
# Products of 16-bit floats that are widened first: at least so many multiply-adds in the largest block.
WIDENED = {"avx512": 24, "avx2": 8, "baseline": 8}
# No products of their own: they call sums. Or not for speed: the specification, a function of one number, and products
# of two matrices in a graph, which are compiled where they are used.
NOT_LOOKED_AT = ["::Project<", "::Reference<", "dense::Forward<", "backward::Product<", "product::Product<", "::One<", "limits::", "quantized::operand::"]

# Panics are called, and never return. Fills and copies of whole blocks are calls; not in what runs for one row.
ALWAYS_CALLED = r"core::(panicking|slice|option|result)::"
FILLS = "memset|memcpy"
# Other activations of layers in fewer bits are compiled once, for all instruction sets: see `activate`.
ONCE = r"activate::rounding_twice::<"
# Cuts four slices, which takes no arithmetic.
CUTS = r"<\[usize; 4\]>::try_map"

# Baseline has no fused multiply-add on x86-64: there, multiplications are counted.
FUSED = re.compile(r"vfn?m(add|sub)|mul[ps][sd]")
SCALAR = re.compile(r"s[sd]$")
ARITHMETIC = re.compile(r"v?(add|sub|mul|div|max|min|fn?m)[a-z0-9]*[ps][sd]$")


class Instruction:
    def __init__(self, address, text):
        self.address = address
        self.name, _, self.operands = text.partition(" ")
        self.operands = self.operands.strip()
        self.symbol = None

    def width(self):
        """The letter of the register it writes, or s for a scalar."""
        return "s" if SCALAR.search(self.name) else self.operands[:1]

    def is_fused(self):
        return bool(FUSED.match(self.name))

    def stores(self):
        """Writes a vector to memory."""
        return bool(self.name.startswith("v") and re.match(r"\S+ PTR \[.*\],[xyz]mm", self.operands))

    def broadcasts(self):
        """Takes one number from memory that isn't a constant, for all lanes: an element of a row."""
        memory = re.search(r"\[([^\]]*)\]", self.operands)
        one_for_all = "broadcast" in self.name or "bcst" in self.operands.lower() or "{1to" in self.operands
        return bool(memory and one_for_all and "rip" not in memory.group(1))


class Function:
    def __init__(self, instruction_set, kernel, body):
        self.set, self.kernel, self.body = instruction_set, kernel, body

    def loops(self):
        """The inner loops: from the target of a jump backwards to the jump, with no such loop inside."""
        place = {instruction.address: n for n, instruction in enumerate(self.body)}
        spans = set()
        for end, instruction in enumerate(self.body):
            target = re.match(r"[0-9a-f]+", instruction.operands) if instruction.name.startswith("j") else None
            start = place.get(int(target.group(), 16)) if target else None
            if start is not None and start <= end:
                spans.add((start, end))
        inner = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
        return [self.body[start : end + 1] for start, end in inner]

    def products(self):
        """The inner loops that multiply lines of a matrix by elements of rows."""
        baseline = self.set == "baseline"  # whose broadcasts are shuffles
        return [loop for loop in self.loops() if fused(loop) and (baseline or any(i.broadcasts() for i in loop))]

    def callees(self):
        """The functions that it calls or takes the address of."""
        symbols = {re.sub(r"[-+]0x[0-9a-f]+$", "", i.symbol) for i in self.body if i.symbol}
        return {symbol for symbol in symbols if not symbol.startswith((".", "anon."))}


def fused(body):
    """How many multiply-adds there are of each width."""
    return Counter(instruction.width() for instruction in body if instruction.is_fused())


def functions(library):
    """The kernels in a library."""
    command = ["objdump", "-dr", "--no-show-raw-insn", "-M", "intel", "--demangle=rust", library]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    function = None
    for line in text.splitlines():
        if start := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            name = re.search(r"isa::token::(avx512_vnni|avx512|avx2|baseline)::<(.*)>$", start.group(1))
            function = name and Function(name.group(1), short(name.group(2)), [])
            if function:
                yield function
        elif not function:
            continue
        elif code := re.match(r" +([0-9a-f]+):\t(.+?) *$", line):
            function.body.append(Instruction(int(code.group(1), 16), code.group(2)))
        elif relocation := re.match(r"\s+[0-9a-f]+: R_X86_64_\S+\s+(.*)$", line):
            function.body[-1].symbol = short(relocation.group(1))


def short(name):
    return re.sub(r"recurrent::kernels::|recurrent::|core::core_arch::x86::", "", name)


def tile(function):
    """The width and number of registers of the largest block of sums, and how many multiply-adds the loops need
    in total for all blocks, once for x and once for h."""
    _, vector, lines, _ = re.fullmatch(r"blocks::Sums<(\w+), (\w+), (\d), (\w+)>", function.kernel).groups()
    width, registers = (LINE if "512" in vector else HALF_LINE)[function.set]
    rows, at_once = ROWS[function.set], 1
    if function.set == "avx512":
        rows, at_once = rows[:-1] if lines == "4" else rows, int(lines)
    return width, rows[-1] * at_once * registers, 2 * sum(rows) * at_once * registers


def check_sums(function):
    width, largest, total = tile(function)
    counts = [fused(loop)[width] for loop in function.products()]
    if counts.count(largest) < 2:
        yield f"needs two loops with {largest} multiply-adds of {width}mm (x and h); has {sorted(counts)}"
    if sum(counts) < total:
        yield f"needs {total} multiply-adds of {width}mm in its loops; has {sorted(counts)}"
    yield from check_registers(function)
    yield from check_widths(function, {width})


def elsewhere(instruction_set, kernel):
    """Whether only another instruction set has registers enough for a kernel; or it is of one row, which the baseline
    takes as a block."""
    in_blocks = instruction_set == "baseline" and (kernel.startswith(tuple(ONE_ROW)) or "RestOfRow" in kernel)
    return in_blocks or "InPairs" in kernel and instruction_set != "avx512"


def check_one_row(function, lines):
    if lines is None:
        lines = int(re.search(r", (\d)", function.kernel).group(1)) * (2 if "InPairs" in function.kernel else 1)
    width, registers = LINE[function.set]
    counts = [fused(loop)[width] for loop in function.products()]
    if elsewhere(function.set, function.kernel):
        if counts:
            yield "is compiled, and never called"
        return
    if len([count for count in counts if count and count % (lines * registers) == 0]) < 2:
        yield f"needs two loops with {lines * registers} multiply-adds of {width}mm (x and h); has {sorted(counts)}"
    yield from check_registers(function)
    if "Unfused" in function.kernel:
        yield from check_tails(function, 1.1)
    else:
        yield from check_widths(function, {width, "y"})


def check_registers(function):
    if function.set == "baseline":
        return  # the four lines of one row are 16 registers of 16
    for loop in function.products():
        stores = sum(instruction.stores() for instruction in loop)
        if stores:
            yield f"sums go to memory and back: {stores} stores in a loop of {dict(fused(loop))} multiply-adds"


def check_widths(function, allowed):
    if others := {width: count for width, count in fused(function.body).items() if width not in allowed}:
        yield f"multiply-adds of other widths: {others}"


def check_whole_vectors(function):
    width, _ = LINE[function.set]
    if fused(function.body)[width] < 8:
        yield f"needs multiply-adds of {width}mm; has {dict(fused(function.body))}"
    yield from check_widths(function, {width, "y"})


def check_outer(function):
    width, _ = LINE[function.set]
    counts = [fused(loop)[width] for loop in function.products()]
    if OUTER[function.set] not in counts:
        yield f"needs a loop with {OUTER[function.set]} multiply-adds of {width}mm; has {sorted(counts)}"
    yield from check_registers(function)


def check_tails(function, most):
    """Scalars are the rest of vector loops."""
    width, _ = LINE[function.set]
    count = Counter(i.width() for i in function.body if ARITHMETIC.match(i.name))
    if count[width] == 0 or count["s"] > most * count[width]:
        yield f"needs vectors of {width}mm; its arithmetic is {dict(count)}"


def check_calls(function):
    one_row = any(function.kernel.startswith(kernel) for kernel in ONE_ROW) or function.kernel.startswith("blocks::Sums<")
    for callee in sorted(function.callees()):
        allowed = "isa::token::" in callee or re.match(ALWAYS_CALLED, callee)
        allowed = allowed or (re.fullmatch(FILLS, callee) and (not one_row or "Unfused" in function.kernel))
        allowed = allowed or (re.match(ONCE, callee) and function.kernel.startswith("quantized::formulas::"))
        allowed = allowed or (re.match(CUTS, callee) and function.kernel.startswith("backward::"))
        if not allowed:
            yield f"calls {callee}, which isn't compiled for the instruction set or costs more than it does"


def check_bytes(function):
    if function.set not in BYTES or "Add<false" in function.kernel and function.set == "avx2":
        return
    name, width, most = BYTES[function.set]
    # `width` would take the name's last letters for a scalar's.
    counts = [sum(i.name == name and i.operands[:1] == width for i in loop) for loop in function.loops()]
    most = most if "Add<true" in function.kernel or function.set == "avx2" else most // 2
    if max(counts, default=0) < most:
        yield f"needs a loop with {most} {name} of {width}mm; has {sorted(count for count in counts if count)}"
    for loop in function.loops():
        if any(i.name == name for i in loop) and any(i.stores() for i in loop):
            yield "sums of bytes go to memory and back"


def check_widened(function):
    width, _ = LINE[function.set]
    counts = [fused(loop)[width] for loop in function.loops()]
    if max(counts, default=0) < WIDENED[function.set]:
        yield f"needs a loop with {WIDENED[function.set]} multiply-adds of {width}mm; has {sorted(counts)}"
    yield from check_registers(function)


def check(function):
    if any(part in function.kernel for part in NOT_LOOKED_AT):
        return
    if function.kernel.startswith("quantized::int8::"):
        return (yield from check_bytes(function))
    if function.kernel.startswith("quantized::bf16::"):
        return (yield from check_widened(function))
    yield from check_calls(function)
    if function.kernel.startswith("blocks::Sums<"):
        yield from check_sums(function)
    elif kernel := next((kernel for kernel in ONE_ROW if function.kernel.startswith(kernel)), None):
        yield from check_one_row(function, ONE_ROW[kernel])
    elif function.kernel.startswith(tuple(WHOLE_VECTORS)):
        yield from check_whole_vectors(function)
    elif kernel := next((kernel for kernel in ANY_LENGTH if function.kernel.startswith(kernel)), None):
        yield from check_tails(function, ANY_LENGTH[kernel])
        if kernel == "backward::outer::Outer<":
            yield from check_outer(function)
    else:
        yield "is in none of this script's lists"


def main():
    found = defaultdict(list)
    for function in functions(sys.argv[1]):
        found[function.set].append(function)
    wrong = []
    for instruction_set in LINE:
        kernels = [function.kernel for function in found[instruction_set]]
        # For nothing to be overlooked because it has another name.
        for prefix in ["blocks::Sums<", *ONE_ROW, *WHOLE_VECTORS, *(ANY_LENGTH.keys() - {"quantized::formulas::"})]:
            for element in ["f32", "f64"]:
                there = any(kernel.startswith(prefix) and f"<{element}" in kernel for kernel in kernels)
                if not there and not elsewhere(instruction_set, prefix):
                    wrong.append(f"{instruction_set}: no {prefix}{element}..> is there")
                for unit in UNITS if "drive::one_row::" in prefix or "drive::blocked::" in prefix else []:
                    there = any(kernel.startswith(f"{prefix}{element}, {unit}") for kernel in kernels)
                    if not there and not elsewhere(instruction_set, prefix):
                        wrong.append(f"{instruction_set}: no {prefix}{element}, {unit}..> is there")
        if (sums := sum(kernel.startswith("blocks::Sums<") for kernel in kernels)) < 16:
            wrong.append(f"{instruction_set}: {sums} kinds of blocks::Sums, not 16")
        for function in found[instruction_set]:
            wrong += [f"{instruction_set}, {function.kernel}: {what}" for what in check(function)]
        loops = [fused(loop) for function in found[instruction_set] for loop in function.products()]
        width, _ = LINE[instruction_set]
        print(
            f"{instruction_set}: {len(kernels)} kernels, {len(loops)} loops of products with up to "
            f"{max((loop[width] for loop in loops), default=0)} multiply-adds of {width}mm"
        )
    for instruction_set in BYTES:
        kernels = [function for function in found[instruction_set] if function.kernel.startswith("quantized::int8::")]
        if len(kernels) < 2:
            wrong.append(f"{instruction_set}: {len(kernels)} kernels of bytes, not 2")
        for function in kernels if instruction_set not in LINE else []:
            wrong += [f"{instruction_set}, {function.kernel}: {what}" for what in check(function)]
    for what in wrong:
        print(what)
    print(f"{len(wrong)} wrong" if wrong else "all are vectorised")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
