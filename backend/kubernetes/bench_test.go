package kubernetes_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/kubernetes"
	"github.com/azml-go/azml/internal/program"
	"github.com/azml-go/azml/internal/testenv"
)

// sinceBegin is how long after the time a command has begun that has printed the
// date in nanoseconds: the node's clock is this machine's.
func sinceBegin(b *testing.B, called time.Time, printed string) time.Duration {
	n, err := strconv.ParseInt(strings.TrimSpace(printed), 10, 64)
	require.NoError(b, err)
	return time.Unix(0, n).Sub(called)
}

// BenchmarkBareJob is the floor: from the call to the first instruction of a Job that
// kubectl makes, whose own start, some 100 ms, is in it.
func BenchmarkBareJob(b *testing.B) {
	cluster := testenv.Kubernetes(b)
	var total time.Duration
	n := 0
	for ; b.Loop(); n++ {
		name := "bare-" + strconv.Itoa(n) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
		called := time.Now()
		cluster.Kubectl(b, fmt.Sprintf(`{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": %q}, "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never",
			"containers": [{"name": "job", "image": %q, "command": ["date", "+%%s%%N"]}]}}}}`, name, cluster.Image), "create", "-f", "-")
		cluster.Kubectl(b, "", "wait", "--for=condition=complete", "--timeout=120s", "job/"+name)
		total += sinceBegin(b, called, cluster.Kubectl(b, "", "logs", "job/"+name))
	}
	b.ReportMetric(total.Seconds()*1000/float64(n), "ms/begin")
}

// BenchmarkStart is from the call of Start to the command's first instruction, with the
// azml-agent to be brought into the pod.
func BenchmarkStart(b *testing.B) {
	cluster := testenv.Kubernetes(b)
	kubeconfig, err := os.ReadFile(cluster.Kubeconfig)
	require.NoError(b, err)
	find := program.Finder{CacheDir: b.TempDir()}
	d, err := kubernetes.New(kubernetes.Target{Kubeconfig: kubeconfig, Namespace: cluster.Namespace, Image: cluster.Image},
		&kubernetes.Options{Name: b.Name(), CacheDir: b.TempDir(), Program: find.FindAgent, Unpacker: find.FindUnpacker})
	require.NoError(b, err)
	defer d.Close()
	_, err = find.FindAgent(b.Context(), backend.Platform{OS: "linux", Arch: runtime.GOARCH}) // so that building it is no part of the figure
	require.NoError(b, err)
	var total time.Duration
	n := 0
	for ; b.Loop(); n++ {
		job := backend.Job{ID: strconv.FormatInt(time.Now().UnixNano(), 36), Command: []string{"/bin/date", "+%s%N"}, Dir: "/"}
		called := time.Now()
		require.NoError(b, d.Start(b.Context(), job))
		_, err := d.Wait(b.Context(), job.ID)
		require.NoError(b, err)
		r, err := d.Output(b.Context(), job.ID, &backend.OutputOptions{})
		require.NoError(b, err)
		printed, err := io.ReadAll(r)
		require.NoError(b, err)
		require.NoError(b, r.Close())
		total += sinceBegin(b, called, string(printed))
		require.NoError(b, d.Remove(context.WithoutCancel(b.Context()), job.ID))
	}
	b.ReportMetric(total.Seconds()*1000/float64(n), "ms/begin")
}
