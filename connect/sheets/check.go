package sheets

import (
	"context"
	"fmt"

	"rollcall/connect"
)

// Check asks for a token, and reads and writes nothing. Its errors are those of AppendRow.
func (c *Client) Check(ctx context.Context) error {
	if _, err := c.auth.fetch(ctx); err != nil {
		return fmt.Errorf("ask for a token: %w", connect.Judge(err))
	}
	return nil
}
