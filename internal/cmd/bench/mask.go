package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/azml-go/azml/internal/mask"
)

// maskedSize is how much output is masked at once, as pieces of pieceSize, which
// is what a streamed log comes in.
const (
	maskedSize = 32 << 20
	pieceSize  = 64 << 10
)

// benchMask measures the masking of five secrets in a script's output beside
// looking for one text in it.
func benchMask(ctx context.Context, b *bench) error {
	var text strings.Builder
	for i := 0; text.Len() < maskedSize; i++ {
		fmt.Fprintf(&text, "2026-11-26T10:00:00Z epoch %d: loss=%.6f, accuracy %.4f\n", i, 1/float64(i+1), 1-1/float64(i+2))
	}
	output := []byte(text.String())[:maskedSize]
	secrets := []string{`hünter2/"correct horse"+staple`, "s3cret-token-of-forty-characters-0123456789", "AKIAIOSFODNN7EXAMPLE", "postgres://u:p4ssword@host/db", "two\nlines of a key"}
	masks := mask.New(secrets...)
	got, err := b.rounds(ctx,
		timed(func(context.Context) error {
			w := masks.Writer(io.Discard)
			for piece := output; len(piece) > 0; piece = piece[min(pieceSize, len(piece)):] {
				if _, err := w.Write(piece[:min(pieceSize, len(piece))]); err != nil {
					return err
				}
			}
			return w.Flush()
		}),
		timed(func(context.Context) error {
			if bytes.Contains(output, []byte(secrets[0])) {
				return errors.New("a secret is there")
			}
			return nil
		}))
	if err != nil {
		return err
	}
	f := figureOf("mask-5-secrets", "MB/s", 1, got[0], "looking for one text", got[1])
	f.Ratio = ratio(got[0].value, got[1].value)
	f.Value, f.Floor.Value = float64(maskedSize)/1e6/f.Value, float64(maskedSize)/1e6/f.Floor.Value
	f.Beside = []named{{"CPU ns/byte", 1e9 * median(got[0].cpu) / maskedSize}}
	f.Note = "ratio: of times"
	b.report(f)
	return nil
}
