"""The Hugging Face Hub: from a reference to a folder, and from a folder to a repository."""
