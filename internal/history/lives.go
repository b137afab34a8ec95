package history

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// The ID of a deleted run can be given to another one, while processes anywhere
// still know and write to the first. So the keys of all objects of a run but its
// record have its life in them: "runs/<id>/<sort>-<life>/…" or
// "runs/<id>/<sort>-<life>.json".

// lifeLen is the length of a life, in hexadecimal digits.
const lifeLen = 16

// folder gives the prefix of the run's objects of one sort.
func folder(run record.Run, sort string) string {
	return Prefix + run.ID + "/" + sort + "-" + run.Life + "/"
}

// beside gives the key of the one object of a sort.
func beside(run record.Run, sort string) string {
	return Prefix + run.ID + "/" + sort + "-" + run.Life + ".json"
}

// NodeKey gives the key of what a node of the run tells the others.
func NodeKey(run record.Run, node int) string {
	return folder(run, "nodes") + strconv.Itoa(node) + ".json"
}

// DatasetPrefix gives the prefix of what is known of the datasets that the run
// has used.
func DatasetPrefix(run record.Run) string { return folder(run, "datasets") }

// DatasetKey gives the key of what is known of one of them.
func DatasetKey(run record.Run, name, digest string) string {
	sum := sha256.Sum256([]byte(name + "\x00" + digest))
	return DatasetPrefix(run) + hex.EncodeToString(sum[:16]) + ".json"
}

// SameLife gives ErrNotFound when the run is not the one of that life but another
// that has got its ID after that one was deleted. An empty life is any.
func SameLife(run record.Run, life string) error {
	if life == "" || run.Life == life {
		return nil
	}
	return fmt.Errorf("%w: the run was deleted, and its ID is that of another run now", azml.ErrNotFound)
}

// LifeOf gives the life of the run that the object of this key belongs to; "" for
// the records of runs and what is no object of a run.
func LifeOf(key string) string {
	below, isRuns := strings.CutPrefix(key, Prefix)
	_, below, _ = strings.Cut(below, "/")
	first, _, isFolder := strings.Cut(below, "/")
	if !isFolder {
		first = strings.TrimSuffix(first, ".json")
	}
	if life := first[strings.LastIndexByte(first, '-')+1:]; isRuns && len(life) == lifeLen && len(life) < len(first) {
		return life
	}
	return ""
}

// Keys lists the keys of the run's objects but its record, sorted by bytes.
func Keys(ctx context.Context, h core.Handle, run record.Run) (keys []string, err error) {
	for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: Prefix + run.ID + "/"}) {
		if err != nil {
			return nil, err
		}
		if LifeOf(info.Key) == run.Life {
			keys = append(keys, info.Key)
		}
	}
	return keys, nil
}

// sweep deletes what was written, before that time, to runs of this ID that were
// deleted meanwhile.
func sweep(ctx context.Context, h core.Handle, id string, before time.Time) error {
	var old []backend.Info
	for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: Prefix + id + "/"}) {
		if err != nil {
			return err
		}
		if info.Modified.Before(before) {
			old = append(old, info)
		}
	}
	run, err := Get(ctx, h, id) // after the listing: what was listed is of this run, or of one before it
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
		return ignore(err, azml.ErrInvalid) // a folder that no run can have is not ours
	}
	for _, info := range old {
		life := LifeOf(info.Key)
		if life == "" || life == run.Value.Life {
			continue
		}
		err := h.Objects().Delete(ctx, info.Key, &backend.DeleteOptions{IfMatch: info.ETag})
		if err = ignore(err, azml.ErrNotFound, azml.ErrConflict); err != nil {
			return err
		}
	}
	return nil
}
