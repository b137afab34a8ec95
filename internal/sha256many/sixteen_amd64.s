//go:build !boringcrypto

#include "textflag.h"

// swapAll has a shuffle turn the bytes of each of sixteen words around.
DATA swapAll<>+0(SB)/8, $0x0405060700010203
DATA swapAll<>+8(SB)/8, $0x0c0d0e0f08090a0b
DATA swapAll<>+16(SB)/8, $0x0405060700010203
DATA swapAll<>+24(SB)/8, $0x0c0d0e0f08090a0b
DATA swapAll<>+32(SB)/8, $0x0405060700010203
DATA swapAll<>+40(SB)/8, $0x0c0d0e0f08090a0b
DATA swapAll<>+48(SB)/8, $0x0405060700010203
DATA swapAll<>+56(SB)/8, $0x0c0d0e0f08090a0b
GLOBL swapAll<>(SB), RODATA|NOPTR, $64

// One register holds the same word of sixteen digests: Z0 to Z7 their words A to H,
// Z16 to Z31 the sixteen words of a block.

// w becomes the block at CX of the i-th digest, as words.
#define LOAD(i, w) \
	MOVQ      (8*i)(BX), DX; \
	VMOVDQU32 (DX)(CX*1), w; \
	VPSHUFB   Z15, w, w

// Four rows of four words, in each quarter, become its columns.
#define TURN_WORDS(r0, r1, r2, r3) \
	VPUNPCKLDQ  r1, r0, Z8; \
	VPUNPCKHDQ  r1, r0, Z9; \
	VPUNPCKLDQ  r3, r2, Z10; \
	VPUNPCKHDQ  r3, r2, Z11; \
	VPUNPCKLQDQ Z10, Z8, r0; \
	VPUNPCKHQDQ Z10, Z8, r1; \
	VPUNPCKLQDQ Z11, Z9, r2; \
	VPUNPCKHQDQ Z11, Z9, r3

// Four rows of four quarters become their columns.
#define TURN_QUARTERS(r0, r1, r2, r3) \
	VSHUFI32X4 $0x44, r1, r0, Z8; \
	VSHUFI32X4 $0xee, r1, r0, Z9; \
	VSHUFI32X4 $0x44, r3, r2, Z10; \
	VSHUFI32X4 $0xee, r3, r2, Z11; \
	VSHUFI32X4 $0x88, Z10, Z8, r0; \
	VSHUFI32X4 $0xdd, Z10, Z8, r1; \
	VSHUFI32X4 $0x88, Z11, Z9, r2; \
	VSHUFI32X4 $0xdd, Z11, Z9, r3

// to becomes the exclusive or of w rotated by r, q and p bits (FIPS 180-4, 4.1.2).
#define SUM(r, q, p, w, to) \
	VPRORD     $r, w, to; \
	VPRORD     $q, w, Z12; \
	VPRORD     $p, w, Z13; \
	VPTERNLOGD $0x96, Z12, Z13, to

// to becomes the exclusive or of w rotated by r and q and shifted by p bits.
#define SIGMA(r, q, p, w, to) \
	VPRORD     $r, w, to; \
	VPRORD     $q, w, Z12; \
	VPSRLD     $p, w, Z13; \
	VPTERNLOGD $0x96, Z12, Z13, to

// One round, with the constant at k and the message's word w (6.2.2, step 3): d and
// h become the E and the A of the next one.
#define ROUND(k, a, b, c, d, e, f, g, h, w) \
	VPADDD      w, h, h; \
	VPADDD.BCST (4*(k))(R8), h, h; \
	SUM(6, 11, 25, e, Z8); \
	VMOVDQA32   e, Z9; \
	VPTERNLOGD  $0xca, g, f, Z9; \
	VPADDD      Z9, h, h; \
	SUM(2, 13, 22, a, Z10); \
	VMOVDQA32   a, Z11; \
	VPTERNLOGD  $0xe8, c, b, Z11; \
	VPADDD      Z8, h, h; \
	VPADDD      Z11, Z10, Z10; \
	VPADDD      h, d, d; \
	VPADDD      Z10, h, h

// w0 becomes the word sixteen behind it (6.2.2, step 1).
#define NEXT(w0, w1, w9, w14) \
	SIGMA(7, 18, 3, w1, Z8); \
	SIGMA(17, 19, 10, w14, Z9); \
	VPADDD w9, w0, w0; \
	VPADDD Z8, w0, w0; \
	VPADDD Z9, w0, w0

// A round, and the word sixteen behind its own, which is not needed any more.
#define STEP(k, a, b, c, d, e, f, g, h, w0, w1, w9, w14) \
	ROUND(k, a, b, c, d, e, f, g, h, w0); \
	NEXT(w0, w1, w9, w14)

#define SIXTEEN_STEPS(k) \
	STEP(k+0, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z16, Z17, Z25, Z30); \
	STEP(k+1, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z17, Z18, Z26, Z31); \
	STEP(k+2, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z18, Z19, Z27, Z16); \
	STEP(k+3, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z19, Z20, Z28, Z17); \
	STEP(k+4, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z20, Z21, Z29, Z18); \
	STEP(k+5, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z21, Z22, Z30, Z19); \
	STEP(k+6, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z22, Z23, Z31, Z20); \
	STEP(k+7, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z23, Z24, Z16, Z21); \
	STEP(k+8, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z24, Z25, Z17, Z22); \
	STEP(k+9, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z25, Z26, Z18, Z23); \
	STEP(k+10, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z26, Z27, Z19, Z24); \
	STEP(k+11, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z27, Z28, Z20, Z25); \
	STEP(k+12, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z28, Z29, Z21, Z26); \
	STEP(k+13, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z29, Z30, Z22, Z27); \
	STEP(k+14, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z30, Z31, Z23, Z28); \
	STEP(k+15, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z31, Z16, Z24, Z29)

#define SIXTEEN_ROUNDS(k) \
	ROUND(k+0, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z16); \
	ROUND(k+1, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z17); \
	ROUND(k+2, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z18); \
	ROUND(k+3, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z19); \
	ROUND(k+4, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z20); \
	ROUND(k+5, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z21); \
	ROUND(k+6, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z22); \
	ROUND(k+7, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z23); \
	ROUND(k+8, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z24); \
	ROUND(k+9, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z25); \
	ROUND(k+10, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z26); \
	ROUND(k+11, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z27); \
	ROUND(k+12, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z28); \
	ROUND(k+13, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z29); \
	ROUND(k+14, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z30); \
	ROUND(k+15, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z31)

// func sixteenBlocks(states *[8][16]uint32, p *[16]*byte, n int)
// Requires: AVX512F, AVX512BW
TEXT ·sixteenBlocks(SB), NOSPLIT, $0-24
	MOVQ      states+0(FP), AX
	MOVQ      p+8(FP), BX
	MOVQ      n+16(FP), SI
	LEAQ      ·constants(SB), R8
	XORQ      CX, CX
	VMOVDQU32 swapAll<>(SB), Z15
	VMOVDQU32 0(AX), Z0
	VMOVDQU32 64(AX), Z1
	VMOVDQU32 128(AX), Z2
	VMOVDQU32 192(AX), Z3
	VMOVDQU32 256(AX), Z4
	VMOVDQU32 320(AX), Z5
	VMOVDQU32 384(AX), Z6
	VMOVDQU32 448(AX), Z7

loop:
	LOAD(0, Z16)
	LOAD(1, Z17)
	LOAD(2, Z18)
	LOAD(3, Z19)
	LOAD(4, Z20)
	LOAD(5, Z21)
	LOAD(6, Z22)
	LOAD(7, Z23)
	LOAD(8, Z24)
	LOAD(9, Z25)
	LOAD(10, Z26)
	LOAD(11, Z27)
	LOAD(12, Z28)
	LOAD(13, Z29)
	LOAD(14, Z30)
	LOAD(15, Z31)
	TURN_WORDS(Z16, Z17, Z18, Z19)
	TURN_WORDS(Z20, Z21, Z22, Z23)
	TURN_WORDS(Z24, Z25, Z26, Z27)
	TURN_WORDS(Z28, Z29, Z30, Z31)
	TURN_QUARTERS(Z16, Z20, Z24, Z28)
	TURN_QUARTERS(Z17, Z21, Z25, Z29)
	TURN_QUARTERS(Z18, Z22, Z26, Z30)
	TURN_QUARTERS(Z19, Z23, Z27, Z31)
	SIXTEEN_STEPS(0)
	SIXTEEN_STEPS(16)
	SIXTEEN_STEPS(32)
	SIXTEEN_ROUNDS(48)
	VPADDD    0(AX), Z0, Z0
	VMOVDQU32 Z0, 0(AX)
	VPADDD    64(AX), Z1, Z1
	VMOVDQU32 Z1, 64(AX)
	VPADDD    128(AX), Z2, Z2
	VMOVDQU32 Z2, 128(AX)
	VPADDD    192(AX), Z3, Z3
	VMOVDQU32 Z3, 192(AX)
	VPADDD    256(AX), Z4, Z4
	VMOVDQU32 Z4, 256(AX)
	VPADDD    320(AX), Z5, Z5
	VMOVDQU32 Z5, 320(AX)
	VPADDD    384(AX), Z6, Z6
	VMOVDQU32 Z6, 384(AX)
	VPADDD    448(AX), Z7, Z7
	VMOVDQU32 Z7, 448(AX)
	ADDQ      $64, CX
	DECQ      SI
	JNZ       loop
	VZEROUPPER
	RET
