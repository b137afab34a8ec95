package main

import (
	"context"
	"fmt"
	"os"
	"reflect"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/backend/ssh"
)

// sshFlags say where a machine is and how to get in.
type sshFlags struct {
	machine              ssh.Target
	keyFile              string
	password, passphrase bool
	trust                bool
	// docker is what containers are run by there, when containers are wanted.
	docker     dockerFlags
	containers bool
}

func (a *app) computeAttachSSH() *cobra.Command {
	var common attachFlags
	f := sshFlags{docker: dockerFlags{far: true}}
	cmd := &cobra.Command{
		Use:   "ssh NAME",
		Short: "Attach a machine that is reached by SSH",
		Long: `Attach a machine that is reached by SSH: Linux or macOS, with a POSIX shell. It is
connected to first, and azml is put there, below .azml in the user's home folder.
A password or passphrase is never an argument, where others could see it: on a
terminal it is asked for without being shown, else it is read from the standard
input. Passwords and keys are kept in the workspace's secret store.

The machine must be known: by --host-key, or by this machine's known hosts. With
--trust-host-key it is believed this once, and its key is stored with the target.
A machine that shows another key later is refused.

With --docker runs are in containers of the Docker engine of that machine, which the
user must be allowed to use: environments become images there.`,
		Example: `  azml compute attach ssh box --address box.example.com --user me --key-file ~/.ssh/id_ed25519
  azml compute attach ssh box --address 10.0.0.7 --user me --password-stdin --trust-host-key < password.txt
  azml compute attach ssh box --address box.example.com --agent --host-key SHA256:AbC…
  azml compute attach ssh box --address box.example.com --agent --docker --image python:3.12-slim --memory 8g`,
		Args: exactly(1, "a name for the target"),
	}
	common.add(cmd)
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.fillCredential(cmd.Context(), &f); err != nil {
			return err
		}
		if err := f.fillContainers(cmd.Context(), a); err != nil {
			return err
		}
		if err := a.trustHostKey(cmd.Context(), &f); err != nil {
			return err
		}
		return a.attach(cmd.Context(), args[0], f.machine, &common)
	}
	return cmd
}

func (f *sshFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.machine.Address, "address", "", "name or IP address of the machine")
	flags.IntVar(&f.machine.Port, "port", ssh.DefaultPort, "port of its SSH server")
	flags.StringVar(&f.machine.Username, "user", "", "who logs in (default: the user of whoever connects)")
	flags.StringVar(&f.keyFile, "key-file", "", "private key to log in by")
	flags.BoolVar(&f.passphrase, "passphrase-stdin", false, "ask for the passphrase of the key, or read it from the standard input")
	flags.BoolVar(&f.password, "password-stdin", false, "log in by a password, which is asked for or read from the standard input")
	flags.BoolVar(&f.machine.Credential.Agent, "agent", false, "log in by the ssh-agent of whoever connects")
	flags.StringVar(&f.machine.HostKey, "host-key", "", "public key of the machine (ssh-ed25519 AAAA…) or its fingerprint (SHA256:…)")
	flags.BoolVar(&f.trust, "trust-host-key", false, "believe that the machine that answers now is the one that is meant")
	flags.StringVar(&f.machine.Dir, "dir", "", "folder on the machine for programs and jobs (default .azml in the home folder)")
	flags.StringVar(&f.machine.CacheDir, "cache-dir", "", "folder on the machine for environments and working folders (default: the user's cache folder)")
	flags.BoolVar(&f.containers, "docker", false, "run in containers of the machine's Docker engine, of which the flags from --docker-host on are")
	f.docker.add(cmd)
	must(cmd.MarkFlagRequired("address"))
	cmd.MarkFlagsOneRequired("key-file", "password-stdin", "agent")
	cmd.MarkFlagsMutuallyExclusive("password-stdin", "passphrase-stdin")
	cmd.MarkFlagsMutuallyExclusive("host-key", "trust-host-key")
}

// fillContainers reads what is said of the machine's engine.
func (f *sshFlags) fillContainers(ctx context.Context, a *app) error {
	config, err := f.docker.complete(ctx, a)
	switch {
	case err != nil:
		return err
	case f.containers:
		f.machine.Containers = config
	case !reflect.ValueOf(config).IsZero():
		return usage("what is said of containers goes with --docker")
	}
	return nil
}

// fillCredential reads what is to be kept secret.
func (a *app) fillCredential(ctx context.Context, f *sshFlags) (err error) {
	c := &f.machine.Credential
	if f.keyFile != "" {
		if c.PrivateKey, err = os.ReadFile(f.keyFile); err != nil {
			return err
		}
	}
	switch {
	case f.password:
		c.Password, err = a.readSecret(ctx, "the password")
	case f.passphrase && f.keyFile == "":
		return usage("--passphrase-stdin is for --key-file")
	case f.passphrase:
		c.Passphrase, err = a.readSecret(ctx, "the passphrase of the key")
	}
	if err == nil && (f.password && c.Password == "" || f.passphrase && c.Passphrase == "") {
		return usage("nothing was given on the standard input")
	}
	return err
}

// trustHostKey takes the key that the machine shows now, when that is wanted.
func (a *app) trustHostKey(ctx context.Context, f *sshFlags) (err error) {
	if !f.trust {
		return nil
	}
	if f.machine.HostKey, err = ssh.KeyOf(ctx, f.machine.Address, f.machine.Port); err != nil {
		return fmt.Errorf("the host key of %s: %w", f.machine.Address, err)
	}
	fingerprint, err := ssh.Fingerprint(f.machine.HostKey)
	if err == nil {
		a.say("The host key of %s is %s.", f.machine.Address, fingerprint)
	}
	return err
}
