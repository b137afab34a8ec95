// Package pyenv knows what a Python environment is and makes it on a machine.
//
// A [Spec] says what has to be there: a Python version, pip requirements and,
// where it can't be avoided, conda packages. It is read from a pip
// requirements file by [ParseRequirements] or from a conda environment file by
// [ParseConda]. [Spec.Hash] names its content.
//
// [Build] makes the environment once for each content hash and machine, in a
// cache folder, and gives the same [Env] to everybody who asks again, also to
// those who ask at the same time from other processes.
package pyenv
