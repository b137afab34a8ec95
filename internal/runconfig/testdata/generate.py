# Writes the run configurations in azureml/ with azureml-core 1.61.0.post4 on
# Python 3.11: python generate.py azureml. Afterwards the hosts of package
# indexes and of the base image were replaced by example.org ones.
import os,sys
from azureml.core import Environment
from azureml.core.runconfig import *
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.script_run_config import ScriptRunConfig
from azureml.data.data_reference import DataReference
out = sys.argv[1]
def save(name, rc, **kw):
    d=os.path.join(out,name); os.makedirs(os.path.join(d,'.azureml'),exist_ok=True)
    rc.save(d,name,**kw)
rc=RunConfiguration(); save('default',rc)
rc=RunConfiguration(); save('separate',rc,separate_environment_yaml=True)
rc=RunConfiguration(); rc.script='train.py'; rc.arguments=['--lr','0.1','--name','a b']; rc.docker=DockerConfiguration(use_docker=True,shared_volumes=False,arguments=['--ipc=host'],shm_size='8g')
rc.environment.docker.base_image='ubuntu:22.04'; rc.target='gpu-box'; rc.max_run_duration_seconds=3600
save('docker',rc)
rc=RunConfiguration(); rc.script='train.py'
cd=CondaDependencies.create(python_version='3.11',conda_packages=['numpy=1.26','scikit-learn'],pip_packages=['requests==2.31','joblib'])
cd.add_channel('conda-forge')
e=Environment('train-env'); e.python.conda_dependencies=cd; e.version='7'; e.environment_variables={'A_b':'x'}; rc.environment=e
rc.environment_variables={'MixedCase':'1','lower_case':'2'}
save('conda',rc)
rc=RunConfiguration(); rc.environment.python.user_managed_dependencies=True; rc.environment.python.interpreter_path='/usr/bin/python3'; save('usermanaged',rc)
rc=RunConfiguration(); rc.script='t.py'
rc.data_references={'My_Data':DataReferenceConfiguration(datastore_name='ds',mode='download',path_on_datastore='a/b',path_on_compute='/tmp/x',overwrite=True)}
rc.data={'train':Data(data_location=DataLocation(dataset=Dataset(dataset_id='id1',dataset_name='iris',dataset_version='3')),create_output_directories=False,mechanism='mount',environment_variable_name='TRAIN',path_on_compute='/data',overwrite=False),
 'other':Data(data_location=DataLocation(data_path=DataPath(datastore_name='ds',relative_path='x/y')),mechanism='download')}
save('data',rc)
rc=RunConfiguration(); rc.script='t.py'; rc.framework='Python'; rc.communicator='IntelMpi'; rc.node_count=4; rc.mpi=MpiConfiguration(process_count_per_node=2,node_count=4); save('mpi',rc)
rc=RunConfiguration(); rc.script='t.py'; rc.framework='PyTorch'; rc.communicator='Nccl'; rc.node_count=2; rc.pytorch=PyTorchConfiguration(communication_backend='Nccl',process_count=8,node_count=2); save('pytorch',rc)
rc=RunConfiguration(); rc.script='t.py'; rc.framework='TensorFlow'; rc.communicator='ParameterServer'; rc.tensorflow=TensorflowConfiguration(worker_count=3,parameter_server_count=2); save('tensorflow',rc)
rc=RunConfiguration(); rc.script='t.py'
rc.output_data={'model':OutputData(mechanism='upload', additional_options=OutputOptions(path_on_compute='/o',registration_options=RegistrationOptions(name='n',description='d',tags={'k':'v'}),upload_options=UploadOptions(overwrite=True,source_globs=GlobsOptions(['*.txt'])))) }
rc.history.output_collection=False; rc.history.directories_to_watch=['logs','more']; rc.command=['echo','hi']
rc.services={} if hasattr(rc,'services') else None
rc.services={'j':ApplicationEndpointConfiguration(type='Jupyter',port=8888,properties={'a':'b'})}; rc.datacaches=[]
save('outputs',rc)
