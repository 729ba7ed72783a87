//go:build tofu

// OpenTofu from the Go module proxy, for machines that have neither it nor Terraform. The tag is never set: what is built is the
// program that this file names.
package main

import _ "github.com/opentofu/opentofu/cmd/tofu"
