package run_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// Train in this process: the run is Completed when the function returns nil.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "azml-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ws, err := workspace.Open(ctx, dir+"/ws", &workspace.OpenOptions{CacheDir: dir + "/cache", SecretsKeyFile: dir + "/key"})
	if err != nil {
		log.Fatal(err)
	}
	defer ws.Close(ctx)

	exp, err := ws.Experiments().CreateOrUpdate(ctx, "churn", nil)
	if err != nil {
		log.Fatal(err)
	}
	r, err := exp.Run(ctx, func(ctx context.Context, r *run.Run) error {
		for epoch := range 10 {
			if err := r.Log("loss", 1/float64(epoch+1), &run.LogOptions{Step: int64(epoch)}); err != nil {
				return err
			}
		}
		return r.LogParam(ctx, "lr", 0.1)
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	sums, err := r.Summaries(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Status(), r.Details().Params["lr"], sums["loss"].Count, sums["loss"].Min)
	// Output: Completed 0.1 10 0.1
}
