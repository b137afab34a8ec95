package core

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/record"
)

const auditPrefix = "audit/"

// AuditDays yields the lines of the audit log from since on, those of one day at
// a time and by their time; of several lines with one ID the last counts. It
// tells damaged of lines that are not as they were written.
func AuditDays(ctx context.Context, h Handle, since time.Time, damaged func(key string, line int, err error)) iter.Seq2[[]record.Audit, error] {
	return func(yield func([]record.Audit, error) bool) {
		for day, err := range h.Children(ctx, auditPrefix) {
			if err == nil && day < since.UTC().Format(time.DateOnly) {
				continue
			}
			var lines []record.Audit
			if err == nil {
				lines, err = auditDay(ctx, h, day, damaged)
			}
			if !yield(lines, err) || err != nil {
				return
			}
		}
	}
}

// auditDay reads the lines of one day.
func auditDay(ctx context.Context, h Handle, day string, damaged func(key string, line int, err error)) ([]record.Audit, error) {
	keys, err := auditObjects(ctx, h, day)
	if err != nil {
		return nil, err
	}
	byID := map[string]record.Audit{}
	for _, key := range keys {
		data, _, err := h.Read(ctx, key)
		if err != nil {
			return nil, err
		}
		number := 0
		for line := range bytes.Lines(data) {
			number++
			text, whole := bytes.CutSuffix(line, []byte("\n"))
			r, err := record.DecodeAudit(text)
			switch {
			case err == nil:
				byID[r.ID] = r
			case whole: // else it was cut off by the death of its writer, who had not made the change
				damaged(key, number, err)
			}
		}
	}
	lines := slices.Collect(maps.Values(byID))
	slices.SortFunc(lines, func(a, b record.Audit) int { return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.ID, b.ID)) })
	return lines, nil
}

// auditObjects lists the objects of one day, those of each writer in the order in
// which it began them: their numbers have no zeros in front, so the tenth is listed
// before the second.
func auditObjects(ctx context.Context, h Handle, day string) ([]string, error) {
	var keys []string
	for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: auditPrefix + day + "/"}) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, info.Key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	return keys, nil
}
