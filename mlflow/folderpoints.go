package mlflow

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"

	"github.com/azml-go/azml"
)

// points reads a metric's lines: time, value and step, and with two more words
// the dataset that it was taken on. A last line that is cut off is left out.
func (f *folder) points(ctx context.Context, r run, metric string) iter.Seq2[point, error] {
	return func(yield func(point, error) bool) {
		path := filepath.Join(f.runDir(r), "metrics", filepath.FromSlash(metric))
		content, err := os.Open(path)
		if err != nil {
			yield(point{}, err)
			return
		}
		defer content.Close()
		lines := bufio.NewReader(content)
		for n := 1; ; n++ {
			line, err := lines.ReadBytes('\n')
			if errors.Is(err, io.EOF) {
				return
			}
			var p point
			if err == nil {
				p, err = parsePoint(line)
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				err = fmt.Errorf("%s, line %d: %w", path, n, err)
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

func parsePoint(line []byte) (point, error) {
	words := bytes.Fields(line)
	if len(words) < 2 {
		return point{}, fmt.Errorf("%w: no time and value: %.60q", azml.ErrDamaged, line)
	}
	var p point
	var value double
	var err error
	if p.millis, err = strconv.ParseInt(string(words[0]), 10, 64); err == nil {
		err = value.UnmarshalJSON(words[1])
	}
	if err == nil && len(words) > 2 {
		p.step, err = strconv.ParseInt(string(words[2]), 10, 64)
	}
	if err != nil {
		return point{}, fmt.Errorf("%w: %w", azml.ErrDamaged, err)
	}
	p.value = float64(value)
	return p, nil
}
