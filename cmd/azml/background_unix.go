//go:build unix

package main

import "syscall"

// ownSession lets a process live on when the terminal is closed.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
