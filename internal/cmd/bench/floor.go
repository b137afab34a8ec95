package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// writer makes files as durably as a record has to be.
type writer struct {
	dir  string
	next int
	data []byte
}

// newWriter gives a writer of files of the size in a new folder.
func (b *bench) newWriter(size int) (*writer, error) {
	dir, err := b.sub("floor")
	return &writer{dir: dir, data: make([]byte, size)}, err
}

// times is the floor of something that makes n durable writes.
func (w *writer) times(n int) side {
	return timed(func(context.Context) error {
		for range n {
			if err := w.write(); err != nil {
				return err
			}
		}
		return nil
	})
}

// write makes a new file and syncs it and its folder.
func (w *writer) write() error {
	w.next++
	f, err := os.Create(filepath.Join(w.dir, fmt.Sprint(w.next)))
	if err != nil {
		return err
	}
	_, err = f.Write(w.data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil || runtime.GOOS == "windows" { // which can't sync a folder
		return err
	}
	folder, err := os.Open(w.dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
