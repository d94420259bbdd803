"""The online decision API: deployed alone, it needs Redis, its keys and a folder, and neither Spark, Airflow nor MLflow."""
