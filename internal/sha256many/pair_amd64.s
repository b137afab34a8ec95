//go:build !boringcrypto

#include "textflag.h"

// swap has a shuffle turn the bytes of each of four words around.
DATA swap<>+0(SB)/8, $0x0405060700010203
DATA swap<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL swap<>(SB), RODATA|NOPTR, $16

// Four rounds of one digest, whose message words are w, whose state is s0 (the
// words A, B, E, F) and s1 (C, D, G, H), with the constants at k.
#define ROUNDS(k, w, s0, s1) \
	MOVOU  k(R8), X0; \
	PADDD  w, X0; \
	SHA256RNDS2 X0, s0, s1; \
	PSHUFD $0x0e, X0, X0; \
	SHA256RNDS2 X0, s1, s0

// The message schedule makes four words out of the sixteen before them, in two
// steps: w0 goes through EXPAND as soon as w1, the four words behind it, is there, and
// becomes the next four by FINISH, once the two before those, w0 and w1 there, are.
#define EXPAND(w0, w1) SHA256MSG1 w1, w0

#define FINISH(w0, w1, next) \
	MOVO    w1, X13; \
	PALIGNR $4, w0, X13; \
	PADDD   X13, next; \
	SHA256MSG2 w1, next

// Both digests do the same, one after the other: neither waits for the other,
// so the processor does them at once.
#define BOTH(k, a, b) \
	ROUNDS(k, a, X1, X2); \
	ROUNDS(k, b, X7, X8)

#define BOTH_EXPAND(k, a0, a1, b0, b1) \
	BOTH(k, a1, b1); \
	EXPAND(a0, a1); \
	EXPAND(b0, b1)

#define BOTH_FINISH(k, a0, a1, anext, b0, b1, bnext) \
	BOTH(k, a1, b1); \
	FINISH(a0, a1, anext); \
	FINISH(b0, b1, bnext)

#define BOTH_ALL(k, a0, a1, anext, b0, b1, bnext) \
	BOTH_FINISH(k, a0, a1, anext, b0, b1, bnext); \
	EXPAND(a0, a1); \
	EXPAND(b0, b1)

#define LOAD(from, w) \
	MOVOU  from, w; \
	PSHUFB X14, w

// func pairBlocks(a, b *[8]uint32, p, q *byte, n int)
// Requires: SHA, SSSE3
TEXT ·pairBlocks(SB), NOSPLIT, $64-40
	MOVQ  a+0(FP), AX
	MOVQ  b+8(FP), BX
	MOVQ  p+16(FP), SI
	MOVQ  q+24(FP), DI
	MOVQ  n+32(FP), CX
	LEAQ  ·constants(SB), R8
	MOVOU swap<>(SB), X14
	MOVOU (AX), X1
	MOVOU 16(AX), X2
	MOVOU (BX), X7
	MOVOU 16(BX), X8

loop:
	MOVOU X1, 0(SP)
	MOVOU X2, 16(SP)
	MOVOU X7, 32(SP)
	MOVOU X8, 48(SP)
	LOAD(0(SI), X3)
	LOAD(16(SI), X4)
	LOAD(32(SI), X5)
	LOAD(48(SI), X6)
	LOAD(0(DI), X9)
	LOAD(16(DI), X10)
	LOAD(32(DI), X11)
	LOAD(48(DI), X12)
	BOTH(0, X3, X9)
	BOTH_EXPAND(16, X3, X4, X9, X10)
	BOTH_EXPAND(32, X4, X5, X10, X11)
	BOTH_ALL(48, X5, X6, X3, X11, X12, X9)
	BOTH_ALL(64, X6, X3, X4, X12, X9, X10)
	BOTH_ALL(80, X3, X4, X5, X9, X10, X11)
	BOTH_ALL(96, X4, X5, X6, X10, X11, X12)
	BOTH_ALL(112, X5, X6, X3, X11, X12, X9)
	BOTH_ALL(128, X6, X3, X4, X12, X9, X10)
	BOTH_ALL(144, X3, X4, X5, X9, X10, X11)
	BOTH_ALL(160, X4, X5, X6, X10, X11, X12)
	BOTH_ALL(176, X5, X6, X3, X11, X12, X9)
	BOTH_ALL(192, X6, X3, X4, X12, X9, X10)
	BOTH_FINISH(208, X3, X4, X5, X9, X10, X11)
	BOTH_FINISH(224, X4, X5, X6, X10, X11, X12)
	BOTH(240, X6, X12)
	MOVOU 0(SP), X0
	PADDD X0, X1
	MOVOU 16(SP), X0
	PADDD X0, X2
	MOVOU 32(SP), X0
	PADDD X0, X7
	MOVOU 48(SP), X0
	PADDD X0, X8
	ADDQ  $64, SI
	ADDQ  $64, DI
	DECQ  CX
	JNZ   loop
	MOVOU X1, (AX)
	MOVOU X2, 16(AX)
	MOVOU X7, (BX)
	MOVOU X8, 16(BX)
	RET
