// A Dex with its storage in memory, for tests that need an OpenID provider which is neither Keycloak nor ours.
//
// Its configuration is one JSON document on the first line of stdin. Each further line is a JSON list of people that
// replaces those who were known, and is answered by a line. End of input ends it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/server/signer"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"github.com/dexidp/dex/web"
	"golang.org/x/crypto/bcrypt"
)

type configuration struct {
	Issuer   string         `json:"issuer"`
	Listen   string         `json:"listen"`
	Client   storage.Client `json:"client"`
	Rotation string         `json:"rotation"`
	People   []person       `json:"people"`
}

type person struct {
	Email    string   `json:"email"`
	Password string   `json:"password"`
	ID       string   `json:"id"`
	Verified bool     `json:"verified"`
	Groups   []string `json:"groups"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		return fmt.Errorf("the first line of stdin is the configuration")
	}
	var c configuration
	if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
		return err
	}
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store := memory.New(logger)
	if err := replace(ctx, store, c.People); err != nil {
		return err
	}
	if err := store.CreateClient(ctx, c.Client); err != nil {
		return err
	}
	if err := store.CreateConnector(ctx, storage.Connector{ID: "local", Type: "local", Name: "Email"}); err != nil {
		return err
	}
	keys := &signer.LocalConfig{KeysRotationPeriod: c.Rotation}
	signing, err := keys.Open(ctx, store, 5*time.Minute, time.Now, logger)
	if err != nil {
		return err
	}
	dex, err := server.NewServer(ctx, server.Config{
		Issuer:             c.Issuer,
		Storage:            store,
		SkipApprovalScreen: true,
		IDTokensValidFor:   5 * time.Minute,
		Signer:             signing,
		Logger:             logger,
		Web:                server.WebConfig{WebFS: web.FS()},
	})
	if err != nil {
		return err
	}
	go func() {
		fmt.Fprintln(os.Stderr, http.ListenAndServe(c.Listen, dex))
		os.Exit(1)
	}()
	for lines.Scan() {
		var people []person
		if err := json.Unmarshal(lines.Bytes(), &people); err != nil {
			return err
		}
		if err := replace(ctx, store, people); err != nil {
			return err
		}
		fmt.Println("replaced")
	}
	return lines.Err()
}

func replace(ctx context.Context, store storage.Storage, people []person) error {
	known, err := store.ListPasswords(ctx)
	if err != nil {
		return err
	}
	for _, one := range known {
		if err := store.DeletePassword(ctx, one.Email); err != nil {
			return err
		}
	}
	for _, one := range people {
		hash, err := bcrypt.GenerateFromPassword([]byte(one.Password), bcrypt.MinCost+6)
		if err != nil {
			return err
		}
		known := storage.Password{
			Email: one.Email, Hash: hash, UserID: one.ID, Username: one.Email, EmailVerified: &one.Verified, Groups: one.Groups,
		}
		if err := store.CreatePassword(ctx, known); err != nil {
			return err
		}
	}
	return nil
}
