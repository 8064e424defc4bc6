"""aiortc and aioice live here and nowhere else."""
