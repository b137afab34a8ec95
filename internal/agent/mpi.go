package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/record"
)

// Runs of Mpi are started by mpirun, the one process that node 0 starts. On other nodes it
// wants a daemon of its own, for which it would call ssh. It calls a script instead that
// writes the daemon's command down; node 0 tells it the other nodes, and each of them starts
// it as its one process. The daemons find mpirun over the network.
const (
	// launchScript stands in for ssh: it gets a host and the daemon's command.
	launchScript = "mpi-launch"
	// launchCommand begins the names of the files with these commands.
	launchCommand = "mpi-command-"
	// rankScript is what mpirun starts for each process: it has the node's own paths.
	rankScript = "mpi-rank"
	// rankDir is the folder with what processes say.
	rankDir = "user_logs"
)

// mpi tells whether mpirun starts the script's processes.
func (d *drive) mpi() bool {
	c := d.run.Definition.Distributed
	return c != nil && c.Framework == Mpi
}

// mpiHost names a node for mpirun. No such host needs to be known: two nodes may be of one
// machine.
func mpiHost(node int) string {
	if node == 0 {
		return "localhost"
	}
	return fmt.Sprintf("azml-%d", node)
}

// mpirun gives the command that starts all processes on all nodes, in order of their
// ranks.
func (d *drive) mpirun(processes int) []string {
	command := []string{"mpirun", "--oversubscribe", "-n", strconv.Itoa(processes * d.place.count)}
	if d.place.count > 1 {
		hosts := make([]string, d.place.count)
		for node := range hosts {
			hosts[node] = fmt.Sprintf("%s:%d", mpiHost(node), processes)
		}
		command = append(command, "--host", strings.Join(hosts, ","), "--map-by", "slot",
			"--mca", "plm", "rsh", "--mca", "plm_rsh_agent", "sh ../"+launchScript, "--mca", "plm_rsh_no_tree_spawn", "1",
			"--mca", "orte_leave_session_attached", "1", // daemons stay children of the agents
			"--mca", "orte_do_not_resolve", "1")
	}
	// The folder that mpirun was started in need not be on other nodes.
	return append(command, "--wdir", "/", "sh", "-c", `cd "$AZUREML_CR_EXECUTION_WORKING_DIR_PATH" && exec sh ../`+rankScript)
}

// planMpi makes the job of this node, and the scripts that it needs.
func (d *drive) planMpi(job *backend.Job, m meeting) error {
	script := `exec 3>&2; [ "$OMPI_COMM_WORLD_RANK" = 0 ] || exec >>` + quote(filepath.Join(d.dir, rankDir)) + `/std_log_process_"$OMPI_COMM_WORLD_RANK".txt 2>&1` + "\n"
	if len(slices.Compact(slices.Sorted(slices.Values(m.peers)))) < len(m.peers) {
		// Nodes of one machine would take each other's shared memory for their own.
		script += "export OMPI_MCA_btl_vader_backing_directory=" + quote(d.dir) + "\n"
	}
	// What ends since others have failed is told to: which was the first, mpirun says only now and then.
	script += "trap told=1 TERM INT\n"
	for _, word := range job.Command {
		script += quote(word) + " "
	}
	script += "3>&-\ncode=$?\n" + `[ $code = 0 ] || [ "$told" ] || echo "rank $OMPI_COMM_WORLD_RANK on node ` + strconv.Itoa(d.place.rank) + ` ended with exit code $code" >&3; exit $code`
	err := os.Mkdir(filepath.Join(d.dir, rankDir), 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(d.dir, rankScript), []byte(script+"\n"), 0o600)
	}
	if err != nil {
		return err
	}
	if job.Env["SHELL"] == "" {
		job.Env["SHELL"] = "/bin/bash" // which need not be there; mpirun warns of users without one
	}
	if _, ok := job.Env["OMPI_MCA_hwloc_base_binding_policy"]; !ok {
		job.Env["OMPI_MCA_hwloc_base_binding_policy"] = "none" // what else runs on the machine, mpirun does not know
	}
	if d.place.rank > 0 {
		job.Command = []string{"sh", "-c", m.launch[d.place.rank]}
		return nil
	}
	job.Command = d.mpirun(d.run.Definition.Distributed.Processes)
	for node := 1; node < d.place.count; node++ {
		if err := os.Remove(d.launchFile(node)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	const launch = "host=$1; shift\nprintf '%s' \"$*\" >../" + launchCommand + "new-\"$host\" && mv ../" + launchCommand + "new-\"$host\" ../" + launchCommand + "\"$host\"\n"
	return os.WriteFile(filepath.Join(d.dir, launchScript), []byte(launch), 0o600)
}

// rankLogs names the logs of the processes of this node that mpirun starts, which are
// files of the same names in the run's folder; rank 0 speaks through mpirun.
func (d *drive) rankLogs() (names []string) {
	if !d.mpi() {
		return nil
	}
	each := d.run.Definition.Distributed.Processes
	for number := max(1, d.place.rank*each); number < (d.place.rank+1)*each; number++ {
		names = append(names, rankLog(number))
	}
	return names
}

// rankEnded is what a process that failed by itself adds to the run's log.
var rankEnded = regexp.MustCompile(`^(rank \d+ on node \d+) ended with exit code \d+$`)

// mpiCulprit says which process failed first, of what mpirun has written; empty when
// none has said so.
func mpiCulprit(lines []string) string {
	for _, line := range lines {
		if found := rankEnded.FindStringSubmatch(line); found != nil {
			return " (" + found[1] + ")"
		}
	}
	return ""
}

// launchFile is the file with the command of a node's daemon.
func (d *drive) launchFile(node int) string {
	return filepath.Join(d.dir, launchCommand+mpiHost(node))
}

// quote makes a word of the shell of a text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// errNoDaemons says that mpirun has ended before it has asked for its daemons.
var errNoDaemons = fmt.Errorf("%w: mpirun asked for nothing on the other nodes: it has to be Open MPI's", azml.ErrFailed)

// handOver tells the other nodes, while mpirun runs, what it wants them to start. The
// function that it gives is called when mpirun has ended, and says whether it was told:
// after that nothing is said any more.
func (g *gang) handOver(ctx context.Context, stop context.CancelCauseFunc, said record.RunNode) (ended func() error) {
	if !g.d.mpi() {
		return func() error { return nil }
	}
	looking, endLooking := context.WithCancelCause(ctx)
	told := make(chan error, 1)
	go func() {
		var err error
		if said.Launch, err = g.launches(looking); err == nil {
			err = g.d.say(ctx, said)
		}
		if err != nil {
			stop(err)
		}
		told <- err
	}()
	return func() error {
		endLooking(errNoDaemons)
		return <-told
	}
}

// launches waits for the commands of mpirun's daemons on the other nodes.
func (g *gang) launches(ctx context.Context) ([]string, error) {
	commands := make([]string, g.d.place.count)
	for node := 1; node < g.d.place.count; node++ {
		for {
			text, err := os.ReadFile(g.d.launchFile(node))
			if err == nil {
				commands[node] = string(text)
				break
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			if err := pause(ctx); err != nil {
				return nil, err
			}
		}
	}
	return commands, nil
}
