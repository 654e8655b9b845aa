"""The sorter beside the belt: beam, photograph, model, pusher. Installs on a Raspberry Pi; see `bundle`."""
