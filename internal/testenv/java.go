package testenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// mlflowJavaClient is the newest that is published.
const mlflowJavaClient = "2.17.2"

// MLflowJava gives the path of a java that runs a source file, and the class path
// of MLflow's Java client, with the libraries that it needs.
func MLflowJava(t testing.TB) (java, classPath string) {
	t.Helper()
	classPath = need(t, AbilityMLflowJava, func() (string, error) { return mlflowJava(t.Context(), false) })
	java, err := findJava(t.Context())
	if err != nil {
		t.Fatal(err) // it was there a moment ago
	}
	return java, classPath
}

// mlflowJava lets Maven fetch the client from where it fetches everything. What
// Maven needs for that alone is not kept.
func mlflowJava(ctx context.Context, again bool) (classPath string, err error) {
	if _, err := program(ctx, findJava, "default-jdk-headless"); err != nil {
		return "", err
	}
	maven, err := program(ctx, func(context.Context) (string, error) { return exec.LookPath("mvn") }, "maven")
	if err != nil {
		return "", err
	}
	c, err := openCache()
	if err != nil {
		return "", err
	}
	project := fmt.Sprintf(`<project><modelVersion>4.0.0</modelVersion>
<groupId>azml.test</groupId><artifactId>clients</artifactId><version>1</version>
<dependencies><dependency><groupId>org.mlflow</groupId><artifactId>mlflow-client</artifactId><version>%s</version></dependency></dependencies>
</project>
`, mlflowJavaClient)
	sum := sha256.Sum256([]byte(project))
	dir, err := c.installed(ctx, "mlflow-java-"+hex.EncodeToString(sum[:6]), again, func(dir string) error {
		pom, repository := filepath.Join(dir, "pom.xml"), filepath.Join(dir, "repository")
		if err := os.WriteFile(pom, []byte(project), 0o644); err != nil {
			return err
		}
		_, err := output(ctx, maven, "--quiet", "--batch-mode", "--file", pom, "-Dmaven.repo.local="+repository,
			"dependency:copy-dependencies", "-DoutputDirectory="+filepath.Join(dir, "jars"))
		if err != nil {
			return err
		}
		return os.RemoveAll(repository)
	})
	return filepath.Join(dir, "jars", "*"), err
}

// findJava finds a java with a compiler, of at least 11, which runs a source
// file as it is.
func findJava(ctx context.Context) (string, error) {
	path, err := exec.LookPath("java")
	if err != nil {
		return "", err
	}
	_, err = output(ctx, path, "--source", "11", "--describe-module", "jdk.compiler")
	return path, err
}
