package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/tail"
)

// nodePlace is where this agent is among the nodes of its run.
type nodePlace struct {
	rank, count int
	main        string // where node 0 is
}

// ownPlace reads what the target says of it.
func ownPlace() nodePlace {
	p := nodePlace{count: 1}
	if n, err := strconv.Atoi(os.Getenv(backend.NodeCountVariable)); err == nil && n > 1 {
		p.count, p.main = n, os.Getenv(backend.MainAddressVariable)
		p.rank, _ = strconv.Atoi(os.Getenv(backend.NodeRankVariable)) // 0 when it is none
	}
	return p
}

// suffix tells the jobs and the folder of another node than 0 from those of node 0:
// two nodes may be of one machine.
func (p nodePlace) suffix() string {
	if p.rank == 0 {
		return ""
	}
	return ".node" + strconv.Itoa(p.rank)
}

// IsWorker tells whether this process is an agent on another node than 0.
func IsWorker() bool { return ownPlace().rank > 0 }

// The frameworks of distributed runs.
const (
	// PyTorch is told by variables where rank 0 is.
	PyTorch = "PyTorch"
	// TensorFlow is told by one variable where all are.
	TensorFlow = "TensorFlow"
	// Mpi is started by mpirun.
	Mpi = "Mpi"
)

// rank is a process of the script.
type rank struct {
	who     string // says which one it is, behind the script's name; empty for the only one
	server  bool   // it is a parameter server
	job     backend.Job
	metrics *lineReader     // of its metrics file
	points  *metrics.Writer // gets what that file says
	log     *history.LogWriter
	tail    *tail.Tail
}

// meeting is where the processes of an attempt find each other.
type meeting struct {
	port  int      // at which rank 0 of all is met
	main  string   // where that is
	peers []string // the nodes' addresses
	ports [][]int  // a port for each process, by node
	// launch are the commands of mpirun's daemons, by node.
	launch []string
}

// numbers are those, among all processes of a run, of the ones that the agent of a node
// starts, in order. TensorFlow's are dealt to the nodes one by one, workers first: nodes
// as many as the workers have one each, and the first worker, which saves the model, is on
// node 0, whose outputs/ are the run's. Each node's mpirun counts as one.
func numbers(c *record.Distributed, node, nodes int) (all []int) {
	switch {
	case c == nil || c.Framework == Mpi:
		return []int{node}
	case c.Framework == TensorFlow:
		for n := node; n < c.Workers+c.ParameterServers; n += nodes {
			all = append(all, n)
		}
	default:
		for local := range c.Processes {
			all = append(all, node*c.Processes+local)
		}
	}
	return all
}

// numbers are those of the processes that this agent starts.
func (d *drive) numbers() []int {
	return numbers(d.run.Definition.Distributed, d.place.rank, d.place.count)
}

func (d *drive) maxRestarts() int {
	if c := d.run.Definition.Distributed; c != nil {
		return c.MaxRestarts
	}
	return 0
}

// number gives a process of this node its number among all of the run.
func (d *drive) number(local int) int { return d.numbers()[local] }

// jobName names the job of a process. The first one of node 0 has the run's ID.
func (d *drive) jobName(local int) string {
	if local == 0 {
		return d.run.ID + d.place.suffix()
	}
	return d.run.ID + d.place.suffix() + ".process" + strconv.Itoa(local)
}

// jobs names all jobs of this node.
func (d *drive) jobs() []string {
	names := []string{d.jobName(0)}
	if d.run.Definition != nil {
		for local := range d.numbers()[1:] {
			names = append(names, d.jobName(local+1))
		}
	}
	return names
}

// logName names the log of a process of this node.
func (d *drive) logName(local int) string {
	if d.mpi() && d.place.rank > 0 {
		return fmt.Sprintf("system_logs/mpirun_node_%d.txt", d.place.rank)
	}
	return rankLog(d.number(local))
}

// rankLog names the log of a process.
func rankLog(number int) string {
	if number == 0 {
		return OutputLog
	}
	return fmt.Sprintf("user_logs/std_log_process_%d.txt", number)
}

// plan makes the processes of the next attempt. Those of the last are forgotten.
func (d *drive) plan(ctx context.Context, m meeting) error {
	env := d.environ(ctx)
	for local, number := range d.numbers() {
		if err := d.makeWay(ctx, local); err != nil {
			return d.systemError(err)
		}
		job := backend.Job{ID: d.jobName(local), Command: d.expand(d.command()), Dir: d.codeDir(), Env: maps.Clone(env)}
		job.Env["AZML_METRICS_FILE"] = d.ranks[local].metrics.path
		if err := d.distribute(&job, m, number, local); err != nil {
			return d.systemError(err)
		}
		d.ranks[local].job = job
	}
	return nil
}

// makeWay takes away what is left of a process of the attempt before, and notes where its
// log goes on.
func (d *drive) makeWay(ctx context.Context, local int) error {
	if local == len(d.ranks) {
		r, err := d.newRank(ctx, local)
		if err != nil {
			return err
		}
		if d.ranks = append(d.ranks, r); !d.goesOn {
			return nil
		}
	}
	if err := persist(ctx, d.waits, d.ranks[local].log.Flush); err != nil { // until then it may be in the job's output alone
		return err
	}
	d.ranks[local].tail.Clear()
	if err := d.h.Local().Remove(ctx, d.jobName(local)); err != nil && !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	err := d.noteLog(ctx, d.jobName(local), d.logName(local))
	if err == nil && d.mpi() {
		err = d.forgetRankLogs()
	}
	d.waitsNoMore()
	return err
}

// newRank opens what a process of this node writes.
func (d *drive) newRank(ctx context.Context, local int) (*rank, error) {
	r := &rank{server: isServer(d.run.Definition.Distributed, d.number(local)), metrics: &lineReader{path: d.metricsFile(local)}, points: d.metrics, log: d.output, tail: &d.tail}
	if local > 0 {
		r.tail = &tail.Tail{}
		var err error
		if r.log, err = history.NewLogWriter(ctx, d.h, history.LogKey(d.run, d.logName(local))); err != nil {
			return nil, err
		}
		if r.points, err = d.newWriter(local); err != nil {
			return nil, err
		}
	}
	if d.run.Definition.Distributed != nil && !d.mpi() && (d.place.count > 1 || len(d.numbers()) > 1) {
		r.who = fmt.Sprintf(" (rank %d on node %d)", d.number(local), d.place.rank)
	}
	if d.mpi() && d.place.rank > 0 {
		r.who = fmt.Sprintf(" (mpirun's daemon on node %d)", d.place.rank)
	}
	return r, nil
}

// distribute adds what the framework wants its processes to be told.
func (d *drive) distribute(job *backend.Job, m meeting, number, local int) error {
	c := d.run.Definition.Distributed
	if c == nil {
		return nil
	}
	switch c.Framework {
	case PyTorch:
		maps.Copy(job.Env, map[string]string{
			"AZUREML_FRAMEWORK": PyTorch, "AZUREML_COMMUNICATOR": c.Backend,
			"MASTER_ADDR": m.main, "MASTER_PORT": strconv.Itoa(m.port), "WORLD_SIZE": strconv.Itoa(d.place.count * c.Processes),
			"NODE_RANK": strconv.Itoa(d.place.rank), "RANK": strconv.Itoa(number), "LOCAL_RANK": strconv.Itoa(local)})
	case TensorFlow:
		maps.Copy(job.Env, map[string]string{"AZUREML_FRAMEWORK": TensorFlow, "AZUREML_COMMUNICATOR": "ParameterServer",
			"TF_CONFIG": tfConfig(m, number, c)})
	case Mpi:
		job.Env["AZUREML_COMMUNICATOR"] = "OpenMpi"
		job.Env["AZ_BATCH_MASTER_NODE"] = net.JoinHostPort(m.main, strconv.Itoa(m.port))
		job.Env["OMPI_ALLOW_RUN_AS_ROOT"], job.Env["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1", "1" // containers often have no other user
		return d.planMpi(job, m)
	}
	return nil
}

// tfConfig gives TensorFlow's description of all processes: first the workers, then the
// parameter servers.
func tfConfig(m meeting, number int, c *record.Distributed) string {
	addresses := make([]string, c.Workers+c.ParameterServers)
	for node, ports := range m.ports {
		for local, n := range numbers(c, node, len(m.ports)) {
			addresses[n] = net.JoinHostPort(m.peers[node], strconv.Itoa(ports[local]))
		}
	}
	cluster := map[string][]string{"worker": addresses[:c.Workers]}
	if c.ParameterServers > 0 {
		cluster["ps"] = addresses[c.Workers:]
	}
	task := map[string]any{"type": "worker", "index": number}
	if isServer(c, number) {
		task = map[string]any{"type": "ps", "index": number - c.Workers}
	}
	text, err := json.Marshal(map[string]any{"cluster": cluster, "task": task})
	if err != nil {
		panic(err) // of texts and numbers
	}
	return string(text)
}

// defaultPort is where processes meet, as in Azure ML, when it is free.
const defaultPort = 6105

// freePorts gives ports of this machine that nobody has just now, the first of them
// defaultPort if that is wanted and free.
func freePorts(n int, meeting bool) ([]int, error) {
	var ports []int
	for len(ports) < n {
		var l net.Listener
		err := errors.ErrUnsupported
		if meeting && len(ports) == 0 {
			l, err = net.Listen("tcp", ":"+strconv.Itoa(defaultPort))
		}
		if err != nil {
			l, err = net.Listen("tcp", ":0") //nolint:gosec // the port must be free for processes that others reach
		}
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at once, so that no two are the same
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// meetAt says where the processes of an attempt meet. Without other nodes that is
// here.
func (d *drive) meetAt(ctx context.Context, g *gang, attempt int) (meeting, error) {
	if d.run.Definition.Distributed == nil && g == nil {
		return meeting{}, nil
	}
	ports, err := freePorts(1+len(d.numbers()), true)
	if err != nil {
		return meeting{}, d.systemError(err)
	}
	const here = "127.0.0.1"
	m := meeting{port: ports[0], main: here, peers: []string{here}, ports: [][]int{ports[1:]}}
	if g == nil {
		return m, nil
	}
	return g.ready(ctx, attempt, m)
}

// waitRanks waits for all processes. When one fails, or ctx ends, the others are
// ended, and parameter servers when no worker of the run works any more, which is no failure
// of theirs. It gives the process that has failed.
func (d *drive) waitRanks(ctx, following context.Context) (failed *rank, how backend.JobStatus, err error) {
	type end struct {
		rank   *rank
		status backend.JobStatus
		err    error
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	ends := make(chan end, len(d.ranks))
	for _, r := range d.ranks {
		go func() {
			status, err := d.h.Local().Wait(waiting, r.job.ID)
			ends <- end{r, status, err}
		}()
	}
	servers, unneeded := d.servers(), d.service.over()
	working, served := len(d.ranks)-len(servers), false
	if working == 0 {
		d.service.worked()
	}
	for left := len(d.ranks); left > 0; {
		var e end
		select {
		case e = <-ends:
			left--
		case <-unneeded:
			unneeded, served = nil, true
			if err = errors.Join(err, d.endRanks(following, servers)); err != nil {
				stop()
			}
			continue
		}
		switch {
		case failed != nil || err != nil || ctx.Err() != nil: // what comes after is our doing
		case e.err != nil:
			err = e.err
			stop()
		case served && e.rank.server: // so is this
		case e.status.State != backend.JobExited || e.status.ExitCode != 0:
			failed, how = e.rank, e.status
			stop()
		case !e.rank.server:
			if working--; working == 0 {
				d.service.worked()
			}
		}
	}
	if failed != nil || err != nil || ctx.Err() != nil {
		err = errors.Join(err, d.endRanks(following, d.ranks))
	}
	return failed, how, err
}

// grace is what the script has to end when it is asked to.
func (d *drive) grace() time.Duration {
	if grace := time.Duration(d.run.Definition.GracePeriod * float64(time.Second)); grace > 0 {
		return grace
	}
	return defaultGrace
}

// endRanks ends processes of this node: gracefully, then by force.
func (d *drive) endRanks(ctx context.Context, ranks []*rank) error {
	grace := d.grace()
	ends := make(chan error, len(ranks))
	for _, r := range ranks {
		go func() {
			err := d.h.Local().Cancel(ctx, r.job.ID, grace)
			if errors.Is(err, azml.ErrNotFound) {
				err = nil
			}
			ends <- err
		}()
	}
	var all error
	for range ranks {
		all = errors.Join(all, <-ends)
	}
	return all
}
