package tensorboard_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/tensorboard"
	"github.com/azml-go/azml/workspace"
)

// Write a run's event files, and make a run of them in another experiment.
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
	r, err := exp.Run(ctx, func(_ context.Context, r *run.Run) error {
		return r.Log("loss", 0.5, &run.LogOptions{Step: 1})
	}, &experiment.RunOptions{RunID: "first", DisplayName: "baseline"})
	if err != nil {
		log.Fatal(err)
	}

	exported, err := tensorboard.Export(ctx, []*run.Run{r}, dir+"/tb", nil) // tensorboard --logdir tb
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(filepath.Base(exported[0].Dir), exported[0].Values)

	old, err := ws.Experiments().CreateOrUpdate(ctx, "old", nil)
	if err != nil {
		log.Fatal(err)
	}
	imported, err := tensorboard.Import(ctx, old, dir+"/tb", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(imported[0].Folder, imported[0].Outcome, imported[0].Values)
	// Output:
	// baseline.first 1
	// baseline.first created 1
}
