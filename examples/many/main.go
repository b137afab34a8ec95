// Many opens one workspace from four processes at once, makes 200 runs from 16
// goroutines in each of them, registers one model from every run, and then checks
// that nothing is missing, doubled or mixed up.
//
//	go run ./examples/many
//
// There is no server between the processes: they write to the same folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"time"

	"github.com/azml-go/azml/workspace"
)

const (
	name       = "many" // of the experiment and the model
	processes  = 4
	goroutines = 16 // in each process
	runs       = 200
	points     = 50 // of each of two metrics
)

func main() {
	dir := flag.String("workspace", "", "folder of the workspace (default: a new one among the temporary files)")
	worker := flag.Int("worker", 0, "used by this program itself: be the worker of that number")
	batch := flag.String("batch", "", "used by this program itself: what the runs are tagged with")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if *worker > 0 {
		err = work(ctx, *dir, *batch, *worker)
	} else {
		err = many(ctx, *dir)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "many:", err)
		os.Exit(1)
	}
}

func many(ctx context.Context, dir string) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "azml-many-"); err != nil {
			return err
		}
	}
	ws, err := workspace.Open(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ws.Close(context.WithoutCancel(ctx))) }()
	before, err := highest(ctx, ws)
	if err != nil {
		return err
	}
	fmt.Printf("%d processes of %d goroutines each make %d runs in %s\n", processes, goroutines, runs, dir)

	batch := strconv.FormatInt(time.Now().UnixNano(), 36)
	start := time.Now()
	if err := startWorkers(ctx, dir, batch); err != nil {
		return err
	}
	took := time.Since(start)
	fmt.Printf("%d runs, %d points and %d models in %.2f s: %.0f runs/s\n",
		runs, 2*runs*points, runs, took.Seconds(), runs/took.Seconds())
	return check(ctx, ws, batch, before)
}

// startWorkers starts this program again, once for each process, and waits for
// all of them.
func startWorkers(ctx context.Context, dir, batch string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // one that failed ends the others
	ended := make(chan error)
	for worker := range processes {
		cmd := exec.CommandContext(ctx, self, "-workspace", dir, "-batch", batch, "-worker", strconv.Itoa(worker+1))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		go func() { ended <- cmd.Run() }()
	}
	var first error
	for range processes {
		if err := <-ended; err != nil && first == nil {
			first = fmt.Errorf("a worker failed: %w", err)
			cancel()
		}
	}
	return first
}
