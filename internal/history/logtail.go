package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
)

// tailBlock is how much is read at once on the way back from a log's end.
const tailBlock = 64 << 10

// OpenLogTail is OpenLog from the last so many lines on; a last line without an
// end counts as one. It reads no more of the log than these lines and what
// comes before them in their block.
func OpenLogTail(ctx context.Context, h core.Handle, key string, lines int, done func() (bool, error)) (io.ReadCloser, error) {
	log, err := OpenLog(ctx, h, key, done)
	if err != nil {
		return nil, err
	}
	r := log.(*logReader)
	r.part, r.offset, err = findTail(ctx, h, key, lines)
	return r, err
}

// findTail finds the part and the offset where the last lines begin, the
// beginning of the log when it has no more than these.
func findTail(ctx context.Context, h core.Handle, key string, lines int) (part int, offset int64, err error) {
	var sizes []int64
	for {
		info, err := h.Objects().Stat(ctx, partKey(key, len(sizes)+1))
		if errors.Is(err, azml.ErrNotFound) {
			break
		} else if err != nil {
			return 0, 0, err
		}
		sizes = append(sizes, info.Size)
	}
	ends := -1 // of lines, seen on the way; the one at the very end begins none
	for part := len(sizes); part > 0; part-- {
		for end := sizes[part-1]; end > 0; {
			from := max(0, end-tailBlock)
			block, err := readBlock(ctx, h, partKey(key, part), from, end)
			if err != nil {
				return 0, 0, err
			}
			if ends < 0 {
				ends = 0
				block = bytes.TrimSuffix(block, []byte("\n"))
			}
			for i := bytes.LastIndexByte(block, '\n'); i >= 0; i = bytes.LastIndexByte(block[:i], '\n') {
				if ends++; ends == lines {
					return part, from + int64(i) + 1, nil
				}
			}
			end = from
		}
	}
	return 1, 0, nil
}

func readBlock(ctx context.Context, h core.Handle, key string, from, end int64) ([]byte, error) {
	object, err := h.Objects().Get(ctx, key, &backend.GetOptions{Offset: from, Length: end - from})
	if err != nil {
		return nil, err
	}
	defer object.Body.Close()
	block, err := io.ReadAll(object.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: read the end of %s: %w", azml.ErrUnavailable, key, err)
	}
	return block, nil
}
