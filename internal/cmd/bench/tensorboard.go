package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/azml-go/azml/internal/tfevents"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/tensorboard"
)

// exportedValues is the number of values of the run that is exported.
const exportedValues = 200_000

// benchTensorBoard measures the export of a run beside reading its values, and
// beside writing records of the same size.
func benchTensorBoard(ctx context.Context, b *bench) error {
	s, err := b.newSpace(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	exp, err := s.Experiments().CreateOrUpdate(ctx, "bench", nil)
	if err != nil {
		return err
	}
	r, err := exp.Run(ctx, func(_ context.Context, r *run.Run) error {
		for i := range exportedValues {
			if err := r.Log(logNames[i%len(logNames)], float64(i)*0.37, &run.LogOptions{Step: int64(i / len(logNames))}); err != nil {
				return err
			}
		}
		return nil
	}, nil)
	if err != nil {
		return err
	}
	got, err := b.rounds(ctx,
		timed(func(ctx context.Context) error { return b.exportOnce(ctx, r) }),
		timed(func(ctx context.Context) error { return readAndWrite(ctx, r, filepath.Join(b.dir, "records")) }))
	if err != nil {
		return err
	}
	f := figureOf("tensorboard-export", "ms", 1e3, got[0], "reading the values, and writing as many records of 26 bytes", got[1])
	f.Beside = []named{{"values/s", exportedValues / median(got[0].value)}, {"CPU", 1e3 * mean(got[0].cpu)}}
	b.report(f)
	return nil
}

func (b *bench) exportOnce(ctx context.Context, r *run.Run) error {
	dir, err := b.sub("tensorboard")
	if err != nil {
		return err
	}
	_, err = tensorboard.Export(ctx, []*run.Run{r}, dir, nil)
	return err
}

// readAndWrite is the floor: the events ready, only framed and written.
func readAndWrite(ctx context.Context, r *run.Run, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	const full = 1 << 18
	var buf []byte
	event := make([]byte, 26)
	for _, err := range r.Metrics(ctx, nil) {
		if err != nil {
			return err
		}
		if buf = tfevents.AppendRecord(buf, event); len(buf) >= full {
			if _, err := file.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	_, err = file.Write(buf)
	return err
}
