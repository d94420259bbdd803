-- One database for each of the four that keep something: they are backed up and grown apart.
create database airflow;
create database mlflow;
create database state;
create database warehouse;
