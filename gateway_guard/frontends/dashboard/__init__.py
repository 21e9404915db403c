"""The dashboard on the admin port: pages made on the server, forms, no script."""
