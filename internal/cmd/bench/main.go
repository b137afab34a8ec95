// Command bench measures what the library costs beside the least it could
// cost: each figure has its floor, such as a bare file write, measured in turn
// with it in the same run.
//
//	go run ./internal/cmd/bench [-list] [-run regexp] [-seconds n] [-vs peer,...] [-big] [-cpuprofile file]
//
// It prints one JSON line for each figure; docs/performance.md explains them.
// Peers that are asked for by -vs are installed: wandb, mlflow,
// aim, dvc, frames (pandas, pyarrow, DuckDB), inference-server, mlserver and bentoml into virtual environments in the user's cache folder,
// restic by the system's packages. Everything listens on loopback and is removed at the end.
// It exits with 1 when a figure could not be measured, and 2 for wrong flags.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/load"
)

// group is some figures that are measured together.
type group struct {
	name    string
	measure func(ctx context.Context, b *bench) error
}

var groups = []group{
	{"store", benchStore},
	{"run", benchRun},
	{"log", benchLog},
	{"tensorboard", benchTensorBoard},
	{"seal", benchSeal},
	{"model", benchModel},
	{"datastore", benchDatastore},
	{"list", benchList},
	{"search", benchSearch},
	{"snapshot", benchSnapshot},
	{"dataset", benchDataset},
	{"submit", benchSubmit},
	{"targets", benchTargets},
	{"cluster", benchCluster},
	{"kubernetes", benchKubernetes},
	{"sync", benchSync},
	{"mask", benchMask},
	{"http-go", benchGoHandler},
	{"http-python", benchPython},
	{"http-sklearn", benchSklearn},
	{"http-onnx", benchONNX},
	{"server", benchServer},
	{"server-files", benchServerFiles},
	{"azure-files", inCloud((*cloud).benchBig, (*cloud).benchSecure, (*cloud).benchSmall)},
	{"azure-metrics", inCloud((*cloud).benchMetrics)},
	{"azure-runs", inCloud((*cloud).benchRuns)},
}

// The peers that -vs may name.
const (
	peerWandb           = "wandb"
	peerRestic          = "restic"
	peerInferenceServer = "inference-server"
	peerMLServer        = "mlserver"
	peerBentoML         = "bentoml"
	peerMLflow          = "mlflow"
	peerAim             = "aim"
	peerDVC             = "dvc"
)

// bench is one run of the command.
type bench struct {
	dir     string // scratch, removed at the end
	seconds float64
	peers   []string
	big     bool
	profile string
	out     io.Writer
	log     io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var code int
	if len(os.Args) > 1 && os.Args[1] == childFlag {
		code = profiled(os.Getenv(childProfile), os.Stderr, func() int { return child(ctx, os.Args[2:]) })
	} else {
		code = benchmark(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	stop()
	os.Exit(code)
}

// benchmark is the command, without the process around it. It gives the exit code.
func benchmark(ctx context.Context, args []string, out, log io.Writer) int {
	b := &bench{out: out, log: log}
	chosen, err := b.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(log, "bench:", err)
		return 2
	}
	if b.dir, err = os.MkdirTemp("", "azml-bench-"); err != nil {
		fmt.Fprintln(log, "bench:", err)
		return 1
	}
	defer os.RemoveAll(b.dir)
	keepApart(b.dir)
	return profiled(b.profile, b.log, func() int { return b.all(ctx, chosen) })
}

// keepApart has ext4 put what is measured apart (chattr(1), attribute T), so that
// nobody pays for what another deletes: in a group of blocks where thousands of
// files were deleted, making one takes up to 0.9 ms for the next half minute.
// Elsewhere nothing happens.
func keepApart(dir string) { _ = exec.Command("chattr", "+T", dir).Run() }

// profiled writes a CPU profile of do to a file, unless that is "".
func profiled(file string, log io.Writer, do func() int) int {
	if file == "" {
		return do()
	}
	f, err := os.Create(file)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintln(log, "bench:", err)
		return 1
	}
	code := do()
	pprof.StopCPUProfile()
	if err := f.Close(); err != nil {
		fmt.Fprintln(log, "bench:", err)
		return 1
	}
	return code
}

func (b *bench) parse(args []string) ([]group, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(b.log)
	list := flags.Bool("list", false, "list the groups of figures and measure none")
	only := flags.String("run", "", "measure only the groups that match this `regexp`")
	peers := flags.String("vs", "", "`peers` to install and measure, too, of: "+strings.Join(allPeers(), ","))
	flags.Float64Var(&b.seconds, "seconds", 2, "the time for each figure, about")
	flags.BoolVar(&b.big, "big", false, "take snapshots with a file of 1 GB beside the small ones, send one to Azure's emulator and search 10,000 runs there, seal 20 million points, and search among 100,000 runs, register a dataset of a million files, too; more of the server's artifacts and versions")
	flags.StringVar(&b.profile, "cpuprofile", "", "write a CPU profile of this process to this `file`, and of each server of its own to one beside it, with the server's kind behind the name")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return nil, err
	}
	if *peers != "" {
		b.peers = strings.Split(*peers, ",")
	}
	for _, p := range b.peers {
		if !slices.Contains(allPeers(), p) {
			return nil, fmt.Errorf("-vs: %q is none of %s", p, strings.Join(allPeers(), ","))
		}
	}
	var chosen []group
	for _, g := range groups {
		if pattern.MatchString(g.name) {
			chosen = append(chosen, g)
		}
	}
	if *list {
		for _, g := range chosen {
			fmt.Fprintln(b.out, g.name)
		}
		return nil, flag.ErrHelp
	}
	return chosen, nil
}

func allPeers() []string {
	return []string{peerWandb, peerRestic, peerInferenceServer, peerMLServer, peerBentoML, peerMLflow, peerAim, peerDVC, peerFrames}
}

// versus tells whether a peer was asked for.
func (b *bench) versus(peer string) bool { return slices.Contains(b.peers, peer) }

// all measures the groups and tells how busy the machine was before and after.
func (b *bench) all(ctx context.Context, chosen []group) (code int) {
	b.reportLoad("load-before")
	for _, g := range chosen {
		begun := time.Now()
		if err := g.measure(ctx, b); err != nil {
			fmt.Fprintf(b.log, "bench: %s: %v\n", g.name, err)
			code = 1
		}
		fmt.Fprintf(b.log, "%s: %.1f s\n", g.name, time.Since(begun).Seconds())
		if ctx.Err() != nil {
			return 1
		}
	}
	b.reportLoad("load-after")
	return code
}

// reportLoad tells the number of processes that wanted to run in the last
// minute: above the number of cores, all figures suffer.
func (b *bench) reportLoad(name string) {
	avg, err := load.Avg()
	if err != nil {
		return // not known on every system
	}
	b.report(figure{Name: name, Value: avg.Load1, Unit: "processes",
		Note: fmt.Sprintf("%d cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())})
}

// report prints a figure.
func (b *bench) report(f figure) {
	line, err := json.Marshal(f.rounded())
	if err != nil {
		fmt.Fprintf(b.log, "bench: %s: %v\n", f.Name, err)
		return
	}
	fmt.Fprintf(b.out, "%s\n", line)
}

// sub gives the path of a new scratch folder.
func (b *bench) sub(name string) (string, error) {
	dir, err := os.MkdirTemp(b.dir, name+"-")
	return filepath.Clean(dir), err
}
