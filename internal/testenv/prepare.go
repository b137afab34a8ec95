package testenv

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// Prepared is what [Prepare] found and installed.
type Prepared struct {
	// Missing says for each missing ability why, in one line.
	Missing map[string]string
	// Env are the variables, each "name=value", that the tests are to be
	// started with to find what was prepared.
	Env []string
}

// Prepare finds or installs everything that tests may need, also what failed a
// moment ago, and tells log in one line each what it does and how it went. It
// takes an instant when all is there, and minutes on a new machine. What can't
// be had is no error: it is Missing. Only a done context ends it early; the
// rest is then missing too.
func Prepare(ctx context.Context, log func(line string)) Prepared {
	p := Prepared{Missing: map[string]string{}}
	for _, ability := range Abilities() {
		log(ability + " …")
		begun := time.Now()
		found, err := prepare(ctx, ability)
		if err != nil {
			p.Missing[ability] = oneLine(err.Error())
			log(ability + " is missing: " + p.Missing[ability])
			continue
		}
		log(fmt.Sprintf("%s: %s (%.1f s)", ability, found, time.Since(begun).Seconds()))
		if peer, ok := peers[ability]; ok {
			p.Env = append(p.Env, peer.variable+"="+found)
		}
		if ability == AbilityAzurite {
			p.Env = append(p.Env, AzuriteVariable+"="+found)
		}
	}
	return p
}

// Lacks lists those of the wanted abilities that are missing.
func (p Prepared) Lacks(wanted []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(ability string) bool { return p.Missing[ability] == "" })
}

func prepare(ctx context.Context, ability string) (found string, err error) {
	switch ability {
	case AbilityGit:
		return git(ctx)
	case AbilityPython:
		return python(ctx)
	case AbilityPythonVenv:
		return venv(ctx, "probe", true, []string{"iniconfig==2.1.0"}, nil) // any small package
	case AbilityConda:
		return condaChannel(ctx, true)
	case AbilityAzurite:
		return azurite(ctx, true)
	case AbilityMLflowJava:
		return mlflowJava(ctx, true)
	case AbilityS3:
		return s3Server(ctx, true)
	case AbilityPostgreSQL:
		return postgres(ctx)
	case AbilitySSHD:
		return sshd(ctx)
	case AbilityDocker:
		return docker(ctx, 1, true)
	case AbilityKubernetes:
		return kubernetes(ctx, true)
	case AbilityKueue:
		return kueue(ctx, true)
	case AbilityPrometheus:
		return prometheus(ctx, true)
	case AbilityRegistry:
		return registry(ctx)
	case AbilityTorch:
		return torch(ctx)
	case AbilityMPI:
		return mpi(ctx)
	case AbilityDistributedImage:
		return distributedRoot(ctx, true)
	case AbilityMount:
		return fmt.Sprintf("as user %d", os.Geteuid()), canMount()
	}
	return peers[ability].python(ctx, true)
}
