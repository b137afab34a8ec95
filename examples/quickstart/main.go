// Quickstart walks through the whole of the library in a folder of this machine,
// or in Azure, with nothing installed but Go: it trains a classifier on a real table, registers
// it, deploys it behind a key, and scores held-out rows over HTTP.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -workspace 'azblob://ACCOUNT/CONTAINER?vault=NAME'
//
// Read quickstart below from top to bottom.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

const (
	name     = "breast-cancer" // of the experiment, the model and the endpoint
	seed     = 7
	heldOut  = 0.25
	epochs   = 200
	rate     = 0.5
	required = 0.93
)

func main() {
	location := flag.String("workspace", "", "folder or URL of the workspace (default: a new folder among the temporary files)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := quickstart(ctx, *location)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func quickstart(ctx context.Context, location string) (err error) {
	step := stopwatch()

	// The data: a quarter of the rows is held out and never trained on.
	all, err := loadTable()
	if err != nil {
		return err
	}
	training, held := all.split(heldOut, seed)
	step("read %d rows: %d to train on, %d held out", len(all.rows), len(training.rows), len(held.rows))

	// The workspace: a folder, or a container of Blob Storage.
	if location == "" {
		if location, err = os.MkdirTemp("", "azml-quickstart-"); err != nil {
			return err
		}
	}
	ws, err := open(ctx, location)
	if err != nil {
		return err
	}
	// Closing also stops the endpoint that this process serves.
	defer func() { err = errors.Join(err, ws.Close(context.WithoutCancel(ctx))) }()
	step("opened the workspace %s", location)

	// The run: a function of this program, with its source kept beside it.
	exp, err := ws.Experiments().CreateOrUpdate(ctx, name, nil)
	if err != nil {
		return err
	}
	r, err := exp.Run(ctx, func(ctx context.Context, r *run.Run) error {
		return train(ctx, r, training, held)
	}, &experiment.RunOptions{Source: sourceFolder(), Tags: map[string]string{"kind": "logistic regression"}})
	if err != nil {
		return err
	}
	step("trained for %d epochs in run %d (%s), which is %s", epochs, r.Number(), r.ID(), r.Status())

	// The model: the run's file under a name, as the next version. No bytes are copied.
	m, err := r.RegisterModel(ctx, name, "outputs/model.json", &model.RegisterOptions{
		Description: "Tells benign from malignant tumours",
		Tags:        map[string]string{"data": "wisconsin-diagnostic", "stage": "trial"},
	})
	if err != nil {
		return err
	}
	step("registered the model %s", m.ID())

	// The endpoint: a web service behind a key. It answers when Deploy returns.
	score, err := handler(ctx, m)
	if err != nil {
		return err
	}
	ep, err := ws.Endpoints().Deploy(ctx, name, endpoint.Config{Model: m, Handler: score}, nil)
	if err != nil {
		return err
	}
	step("deployed it at %s", ep.ScoringURI())

	// The proof: the held-out rows go to the endpoint over HTTP.
	accuracy, err := scoreAll(ctx, ep, held)
	if err != nil {
		return err
	}
	step("scored %d held-out rows over HTTP: accuracy %.3f", len(held.rows), accuracy)
	if accuracy <= required {
		return fmt.Errorf("an accuracy of %.3f is not above %.2f", accuracy, required)
	}
	return show(ctx, r, m, location)
}

// open opens the workspace, or creates it where there is none.
func open(ctx context.Context, location string) (*workspace.Workspace, error) {
	if !azure.IsURL(location) {
		return workspace.Open(ctx, location, nil)
	}
	ws, err := azure.Open(ctx, location, nil)
	if errors.Is(err, azml.ErrNotFound) {
		return azure.Create(ctx, location, nil)
	}
	return ws, err
}

// train fits a classifier, logs how it goes, and keeps the result as a file of
// the run. It is plain Go but for the calls of r.
func train(ctx context.Context, r *run.Run, training, held table) error {
	err := r.LogParams(ctx, map[string]any{"epochs": epochs, "learning_rate": rate, "held_out": heldOut, "seed": seed})
	if err != nil {
		return err
	}
	c := newClassifier(training)
	for epoch := range epochs {
		c.descend(training, rate)
		at := &run.LogOptions{Step: int64(epoch)}
		if err := errors.Join(r.Log("loss", c.loss(training), at), r.Log("accuracy", c.accuracy(training), at)); err != nil {
			return err
		}
	}
	err = r.LogConfusionMatrix(ctx, "confusion", run.ConfusionMatrix{ClassLabels: c.Classes, Matrix: c.confusion(held)}, nil)
	if err != nil {
		return err
	}
	file, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return r.Upload(ctx, "outputs/model.json", bytes.NewReader(file), nil)
}

// sourceFolder is the folder of this program's source, whose snapshot the run
// keeps; empty, for no snapshot, where the program was built elsewhere.
func sourceFolder() string {
	_, file, _, _ := runtime.Caller(0)
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return filepath.Dir(file)
}
