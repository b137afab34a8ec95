package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	bigArtifactSize   = 256 << 20
	smallArtifactSize = 4 << 10
)

// put uploads an artifact of random bytes, which are others each time.
func (t *tracker) put(ctx context.Context, name string, size int64) error {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(time.Now().UnixNano()))
	resp, err := t.do(ctx, http.MethodPut, "2.0/mlflow-artifacts/artifacts/"+t.artifacts+"/"+name, io.LimitReader(rand.NewChaCha8(seed), size), size)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// bigArtifact measures a file on its way up and down.
func (s *trackers) bigArtifact(ctx context.Context) error {
	const rounds = 3
	err := s.few(ctx, rounds, "server-artifact-256MB-up", "s", 1, func(ctx context.Context, t *tracker) error {
		return t.put(ctx, "big.bin", bigArtifactSize)
	}, lasting{files: 1, size: bigArtifactSize})
	if err != nil {
		return err
	}
	return s.few(ctx, rounds, "server-artifact-256MB-down", "s", 1, func(ctx context.Context, t *tracker) error {
		resp, err := t.do(ctx, http.MethodGet, "2.0/mlflow-artifacts/artifacts/"+t.artifacts+"/big.bin", nil, 0)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil {
			return err
		}
		return t.complete(int(n), bigArtifactSize)
	}, lasting{})
}

// smallArtifacts measures many small files, one after the other, as MLflow's
// client sends them.
func (s *trackers) smallArtifacts(ctx context.Context) error {
	n := 200
	if s.bench.big {
		n = 5000
	}
	return s.few(ctx, 1, fmt.Sprintf("server-artifact-4KiB-one-of-%d", n), "ms", 1e3/float64(n), func(ctx context.Context, t *tracker) error {
		for i := range n {
			if err := t.put(ctx, fmt.Sprintf("small/%d.bin", i), smallArtifactSize); err != nil {
				return err
			}
		}
		return nil
	}, lasting{files: 1, calls: n, size: smallArtifactSize})
}

// modelVersions measures versions of a model of one file.
func (s *trackers) modelVersions(ctx context.Context) error {
	n := 100
	if s.bench.big {
		n = 1000
	}
	name := fmt.Sprint("bench-", time.Now().UnixNano())
	for _, t := range s.all {
		if err := t.put(ctx, "model/model.bin", smallArtifactSize); err != nil {
			return err
		}
		if err := t.post(ctx, "registered-models/create", object{"name": name}, nil); err != nil {
			return err
		}
	}
	return s.few(ctx, 1, fmt.Sprintf("server-model-version-one-of-%d", n), "ms", 1e3/float64(n), func(ctx context.Context, t *tracker) error {
		source := "mlflow-artifacts:/" + t.artifacts + "/model"
		for range n {
			if err := t.post(ctx, "model-versions/create", object{"name": name, "source": source, "run_id": t.run}, nil); err != nil {
				return err
			}
		}
		return nil
	}, lasting{files: 2, calls: n, size: 800})
}
